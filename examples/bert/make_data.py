"""Write the example's data from the documentation topics of ``pydoc``, English text that is part of CPython.

    python examples/bert/make_data.py OUTPUT_FOLDER

Topics overlap (``compound`` repeats ``if`` and ``while``). Only the first occurrence of a paragraph is kept, so that
held-out text is never in the training data.

Output files:
    train.txt, held_out.txt      one sentence per line, a blank line between documents; every twelfth paragraph is
                                 held out
    topics_train.tsv, topics_test.tsv   sentences with their topic, one of four, as the label
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from pydoc_data.topics import topics

#: Topics of the classification task. They are long and cover different subjects.
CLASSES = ("specialnames", "debugger", "import", "formatstrings")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(*`])")


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph. An indented block (code, grammar) is split into lines instead."""
    lines = paragraph.splitlines()
    if all(line.startswith("   ") for line in lines):
        return [line.strip() for line in lines]
    return _END.split(" ".join(line.strip() for line in lines))


def documents() -> dict[str, list[list[str]]]:
    """Maps each topic to its paragraphs (lists of sentences), without paragraphs that an earlier topic has."""
    seen: set[str] = set()
    found: dict[str, list[list[str]]] = {}
    # The topics of the task come first, so that they keep all of their text.
    for name in sorted(topics, key=lambda n: (n not in CLASSES, n)):
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            key = " ".join(paragraph.split())
            kept = [s for s in sentences(paragraph) if any(c.isalpha() for c in s)]
            if kept and key not in seen:
                seen.add(key)
                found.setdefault(name, []).append(kept)
    return found


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = documents()
    split: dict[str, list[str]] = {"train.txt": [], "held_out.txt": []}
    number = 0
    for paragraphs in texts.values():
        document: dict[str, list[str]] = {"train.txt": [], "held_out.txt": []}
        for paragraph in paragraphs:
            number += 1
            document["held_out.txt" if number % 12 == 0 else "train.txt"] += paragraph
        for file, lines in document.items():
            if lines:
                split[file].append("\n".join(lines))
    for file, blocks in split.items():
        (folder / file).write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    rows: dict[str, list[str]] = {"topics_train.tsv": [], "topics_test.tsv": []}
    for name in CLASSES:
        long = [s for paragraph in texts.get(name, []) for s in paragraph if len(s.split()) >= 5]
        for place, sentence in enumerate(long):
            file = "topics_test.tsv" if place % 5 == 4 else "topics_train.tsv"
            rows[file].append(f"{name}\t{' '.join(sentence.split())}")
    for file, lines in rows.items():
        (folder / file).write_text("label\ttext_a\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
