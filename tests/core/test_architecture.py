"""The page on the architecture says where things are, and imports follow its order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_NAME = re.compile(r"`((?:tp_core|plugins|examples|tests|docs|benchmarks)/[\w./*-]*)`")


def rows() -> list[list[str]]:
    """The folders and files of each row of the table of folders, from the top down."""
    table = PAGE.partition("## The folders")[2].partition("\n## ")[0]
    return [names for line in table.splitlines() if line.startswith("| `") and (names := _NAME.findall(line))]


def row_of(file: str) -> int | None:
    """The number of the row that a file of the core belongs to: that of the longest name that it begins with."""
    found = [(len(name), number) for number, names in enumerate(rows()) for name in names if file.startswith(name)]
    return max(found)[1] if found else None


def imported(file: Path) -> Iterator[str]:
    """The files of the core that a file imports when it is imported itself."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            path = name.replace(".", "/")
            if name.startswith("tp_core.") and (ROOT / f"{path}.py").is_file():
                yield f"{path}.py"


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_is_named_exists(page: str) -> None:
    names = _NAME.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(names) > 3
    assert [name for name in names if not list(ROOT.glob(name))] == []


def test_every_folder_of_the_core_is_in_the_table() -> None:
    folders = {f"tp_core/{path.parent.name}/" for path in (ROOT / "tp_core").glob("*/__init__.py")}
    assert folders <= {name for names in rows() for name in names}


def test_folders_import_only_folders_below_them() -> None:
    upwards = []
    for file in sorted((ROOT / "tp_core").rglob("*.py")):
        own = row_of(str(file.relative_to(ROOT)))
        for other in imported(file) if own is not None else ():
            place = row_of(other)
            if place is not None and own is not None and place < own:
                upwards.append(f"{file.relative_to(ROOT)} -> {other}")
    assert upwards == []
