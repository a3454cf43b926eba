"""Write the example's data: English text that comes with every CPython, the documentation topics of ``pydoc``.

    python examples/bert/make_data.py OUTPUT_FOLDER

Topics overlap (``compound`` repeats ``if`` and ``while``), so a paragraph is kept where it first stands and nowhere
else; otherwise held-out text would have been seen in training.

Written:
    train.txt, held_out.txt      one sentence per line, a blank line between documents (whole topics are held out)
    topics_train.tsv, topics_test.tsv   which of four topics does a sentence come from
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from pydoc_data.topics import topics

#: Topics of the classification task: long, and about different things.
CLASSES = {"specialnames": 0, "debugger": 1, "import": 2, "formatstrings": 3}
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(*`])")


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph; the lines of an indented block (code, grammar) stay lines."""
    lines = paragraph.splitlines()
    if all(line.startswith("   ") for line in lines):
        return [line.strip() for line in lines]
    return _END.split(" ".join(line.strip() for line in lines))


def documents() -> dict[str, list[str]]:
    """Topic → its sentences, without paragraphs that an earlier topic has."""
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    # The topics of the task first, so that they keep all of their text.
    for name in sorted(topics, key=lambda n: (n not in CLASSES, n)):
        kept: list[str] = []
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            key = " ".join(paragraph.split())
            if not key or key in seen or set(key) <= set("*=-~ "):
                continue
            seen.add(key)
            kept += [s for s in sentences(paragraph) if any(c.isalpha() for c in s)]
        if len(kept) > 1:
            found[name] = kept
    return found


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = documents()
    held_out = sorted(n for n in texts if n not in CLASSES)[::8]
    for file, names in (("train.txt", [n for n in texts if n not in held_out]), ("held_out.txt", held_out)):
        blocks = ["\n".join(texts[name]) for name in names]
        (folder / file).write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    rows: dict[str, list[str]] = {"topics_train.tsv": [], "topics_test.tsv": []}
    for name, label in CLASSES.items():
        long = [s for s in texts.get(name, []) if len(s.split()) >= 5]
        for number, sentence in enumerate(long):
            file = "topics_test.tsv" if number % 5 == 4 else "topics_train.tsv"
            rows[file].append(f"{label}\t{sentence}".replace("\n", " "))
    for file, lines in rows.items():
        clean = [line.split("\t", 1)[0] + "\t" + line.split("\t", 1)[1].replace("\t", " ") for line in lines]
        (folder / file).write_text("label\ttext_a\n" + "\n".join(clean) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
