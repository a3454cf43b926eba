"""Speed of preparing text as cached rows, compared with a pure-Python WordPiece tokenizer.

The tp side loads its tokenizer, reads the file, tokenizes, builds BERT's rows and writes the Arrow cache. The other
side only tokenizes lines that are already in memory. It uses transformers' pure-Python BERT tokenizer if it is
installed, else the same algorithm in python_wordpiece.py. Runs share no cache.

    python benchmarks/preprocessing.py [--corpus FILE] [--vocab FILE]

The default corpus is English text that is part of Python: the topics of ``help()``, and the docstrings and comments of
the standard library, without repeated lines. The default vocabulary is a WordPiece vocabulary of 30,522 tokens, trained
on the corpus.
"""

from __future__ import annotations

import argparse
import ast
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

from common import median, scratch
from python_wordpiece import python_wordpiece
from tp_core import load_spec
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.prepared import prepared_rows
from tp_text.tokenizers.train import train_tokenizer

VOCABULARY = 30522
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_SKIPPED = {"test", "tests", "idle_test", "pydoc_data", "site-packages", "dist-packages"}


def english() -> Iterator[list[str]]:
    """Documents as lists of lines: the topics of ``help()``, and docstrings and comments of the standard library."""
    for topic in topics.values():
        yield topic.splitlines()
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if _SKIPPED.isdisjoint(path.relative_to(library).parts[:-1]):
            yield _words_of(path.read_bytes())


def _words_of(source: bytes) -> list[str]:
    """The lines of a module's docstrings, then those of its comments."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # some files of the standard library are invalid on purpose
        return []
    documented = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    docstrings = [line for node in documented for line in (ast.get_docstring(node) or "").splitlines()]
    lines = [line.strip() for line in source.decode("utf-8", "replace").splitlines()]
    return [*docstrings, *(line.lstrip("#") for line in lines if line.startswith("#"))]


def write_english(path: Path) -> Path:
    """Write the default corpus, with a blank line between documents and without repeated lines."""
    seen: set[str] = set()
    with path.open("w", encoding="utf-8") as file:
        for document in english():
            lines = [line for line in dict.fromkeys(map(str.strip, document)) if line and line not in seen]
            seen.update(lines)
            if lines:
                file.write("\n".join([*lines, "", ""]))
    return path


def prepare(folder: Path, corpus: Path, vocab: Path, run: int) -> tuple[float, int]:
    """Prepare the corpus. Returns the seconds and the number of tokens in the cache."""
    spec_file = folder / "spec.yaml"
    spec_file.write_text(
        f"extends: bert-tiny\ndata:\n  tokenizer: {{wordpiece: {{vocab: {vocab}}}}}\n"
        f"  processor: {{bert: {{sentence_task: order}}}}\n"
        f"  train: {corpus}\n  cache: {folder / f'cache{run}'}\n"
    )
    spec = load_spec(spec_file)
    assert spec.data.options.train is not None
    start = time.perf_counter()
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    rows = prepared_rows(spec, processor, spec.data.options.train)
    seconds = time.perf_counter() - start
    return seconds, sum(len(rows.get("tokens", i)) for i in range(len(rows)))


def main(corpus: Path | None, vocab: Path | None, runs: int) -> None:
    folder = scratch()
    corpus = (corpus or write_english(folder / "english.txt")).resolve()
    if vocab is None:
        vocab = folder / "vocab.txt"
        train_tokenizer([corpus], "wordpiece", VOCABULARY, vocab)
    vocab = vocab.resolve()
    text = corpus.read_text(encoding="utf-8")
    lines = text.split("\n")
    vocabulary = {token: i for i, token in enumerate(vocab.read_text(encoding="utf-8").splitlines())}
    name, python_ids = python_wordpiece(vocabulary)
    ours, plain, tokens, python_tokens = [], [], 0, 0
    for run in range(runs):
        seconds, tokens = prepare(folder, corpus, vocab, run)
        ours.append(seconds)
        start = time.perf_counter()
        python_tokens = sum(len(python_ids(line)) for line in lines)
        plain.append(time.perf_counter() - start)
    words = text.split()
    print(f"{len(text):,} characters, {len(words):,} words, {len(set(words)):,} of them different; {runs} runs each")
    print(f"  tp, text to cache     {tokens / median(ours):>12,.0f} tokens/s (median), {tokens:,} tokens")
    print(
        f"  pure-Python WordPiece {python_tokens / median(plain):>12,.0f} tokens/s ({name}), {python_tokens:,} tokens"
    )
    print(f"  ratio                 {tokens / median(ours) / (python_tokens / median(plain)):>12.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--vocab", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    main(options.corpus, options.vocab, options.runs)
