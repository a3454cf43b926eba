"""Docstrings open with a subject or a verb, so that each can be understood at first reading."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "tp_core", *sorted(ROOT.glob("plugins/*/tp_*")), ROOT / "examples" / "plugin"]

#: A docstring that opens with one of these is a question or half a sentence, and does not name its subject.
OPENING = re.compile(r"(What|Whether|How|Which|Where|Why|When|If)\b")


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """The docstrings of a file, with their line numbers."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_docstring_opens_with_a_question_word(folder: Path) -> None:
    files = sorted(folder.rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for file in files
        for line, text in docstrings(file)
        if OPENING.match(text)
    ]
    assert not wrong, "docstrings that do not name their subject first:\n" + "\n".join(wrong)
