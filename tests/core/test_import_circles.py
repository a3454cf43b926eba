"""No module of the packages imports another that imports it, in turn or inside a function."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"tp_core": ROOT / "tp_core", **{path.name: path / path.name for path in (ROOT / "plugins").glob("tp_*")}}


def modules(packages: dict[str, Path]) -> dict[str, Path]:
    """The files of packages, by the modules' names."""
    found = {}
    for package, folder in packages.items():
        for file in folder.rglob("*.py"):
            parts = [package, *file.relative_to(folder).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def imported(tree: ast.AST, known: Collection[str]) -> Iterator[str]:
    """The modules that code imports anywhere, but for types only; of ``from a import b``, a.b if it is known."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for branch in node.orelse:
                yield from imported(branch, known)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert not node.level, "a relative import"
            within = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (each if each in known else node.module for each in within)
        yield from imported(node, known)


def edges(files: dict[str, Path]) -> dict[str, set[str]]:
    """Module → the modules among ``files`` that it imports."""
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in files.items()}
    return {name: files.keys() & {*imported(tree, files.keys())} for name, tree in trees.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle; empty without any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_one_that_imports_it() -> None:
    files = modules(PACKAGES)
    assert len(files) > 500
    assert circle(edges(files)) == []


@pytest.mark.parametrize(
    ("second", "round_"),
    [
        ("import one", True),
        ("def late():\n    from one import value", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from one import value", False),
        ("value = 1", False),
    ],
)
def test_a_circle_is_found_where_there_is_one(tmp_path: Path, second: str, round_: bool) -> None:
    (tmp_path / "one.py").write_text("from two import value\n")
    (tmp_path / "two.py").write_text(second)
    files = {name: tmp_path / f"{name}.py" for name in ("one", "two")}
    assert bool(circle(edges(files))) is round_
