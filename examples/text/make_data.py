"""Write the data of the text examples: English text that is part of CPython, and vocabularies trained on it.

    python examples/text/make_data.py [OUTPUT_FOLDER]       # default: runs/text

Output files:
    sentences.txt       one sentence per line, a blank line between paragraphs (documentation topics of ``pydoc``)
    documents.txt       one paragraph per line
    topics.tsv          text_a, label: a sentence and its topic, one of four
    pairs.tsv           text_a, text_b, label: two sentences of one topic, and the topic
    related.tsv         text_a, text_b, label: a sentence, the same sentence with some words replaced, and the number
                        from 0 to 5 that tells how many of its words are left
    names.tsv           source, target: the first line of a function's docstring, and the words of the function's name
    vocab.txt           4,000 word pieces, including the special tokens that the examples need
    names_vocab.txt     1,000 word pieces for the functions' names
"""

from __future__ import annotations

import ast
import random
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bert"))
from make_data import CLASSES, documents  # noqa: E402

#: Begin and end tokens, and T5's sentinels. Vocabularies always have BERT's special tokens.
SPECIAL = ["[BOS]", "[EOS]", *(f"<extra_id_{i}>" for i in range(32))]


def named_functions() -> list[tuple[str, str]]:
    """(first line of the docstring, words of the name) for each function in the standard library's modules."""
    found = {}
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (text := ast.get_docstring(node)):
                name, line = node.name.strip("_").replace("_", " ").lower(), text.splitlines()[0].strip()
                if name and len(line.split()) >= 3:
                    found[" ".join(line.split())] = name
    return sorted(found.items())


def pairs(topics: dict[str, list[str]], draw: random.Random) -> list[str]:
    """Rows of two sentences with the same topic, and the topic."""
    return [f"{text}\t{draw.choice(texts)}\t{name}" for name, texts in topics.items() for text in texts]


def related(topics: dict[str, list[str]], draw: random.Random) -> list[str]:
    """Rows of a sentence, the same sentence with some words replaced, and how many of its words are left (0 to 5)."""
    texts = [text for each in topics.values() for text in each]
    words = [word for text in texts for word in text.split()]
    rows = []
    for text in texts:
        degree = draw.random()
        kept = [draw.random() < degree for _ in text.split()]
        other = [word if keep else draw.choice(words) for word, keep in zip(text.split(), kept)]
        rows.append(f"{text}\t{' '.join(other)}\t{5 * sum(kept) / len(kept):.2f}")
    return rows


def _clean(text: str) -> str:
    return " ".join(text.split())


def _train(files: list[Path], size: int, output: Path, special: list[str]) -> None:
    options = [part for token in special for part in ("--special", token)]
    command = [sys.executable, "-m", "tp_core", "tokenizer", "train", *map(str, files), "--kind", "wordpiece"]
    subprocess.run([*command, "--vocab-size", str(size), "--output", str(output), "--overwrite", *options], check=True)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = documents()
    paragraphs = [paragraph for topic in texts.values() for paragraph in topic]
    topics = {name: [_clean(s) for p in texts[name] for s in p if len(s.split()) >= 5] for name in CLASSES}
    functions = named_functions()
    written = {
        "sentences.txt": "\n\n".join("\n".join(map(_clean, paragraph)) for paragraph in paragraphs),
        "documents.txt": "\n".join(_clean(" ".join(paragraph)) for paragraph in paragraphs),
        "topics.tsv": "\n".join(["text_a\tlabel", *(f"{text}\t{name}" for name in topics for text in topics[name])]),
        "pairs.tsv": "\n".join(["text_a\ttext_b\tlabel", *pairs(topics, random.Random(0))]),
        "related.tsv": "\n".join(["text_a\ttext_b\tlabel", *related(topics, random.Random(0))]),
        "names.tsv": "\n".join(["source\ttarget", *(f"{line}\t{name}" for line, name in functions)]),
        "names.txt": "\n".join(name for _, name in functions),
    }
    for name, text in written.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")
    _train([folder / "sentences.txt", folder / "names.tsv"], 4000, folder / "vocab.txt", SPECIAL)
    _train([folder / "names.txt"], 1000, folder / "names_vocab.txt", ["[BOS]", "[EOS]"])
    (folder / "names.txt").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "runs" / "text")
