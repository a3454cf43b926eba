"""Import statements of local files: which of them mean files of the same folder, and how they find these."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

#: A module's name as it is written and the names that are imported of it → the folders before it, or None for a module
#: that is installed. ``"pkg."`` for ``pkg/helper.py``, an empty text for ``helper.py``.
Resolve = Callable[[str, tuple[str, ...]], "str | None"]


def imported(tree: ast.Module, package: str, resolve: Resolve) -> Iterator[str]:
    """The local modules that a file may import, wherever the statement stands, by their names in the folder.

    Args:
        package: of the file, in the folder; what relative imports start from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                prefix = resolve(alias.name, ())
                if prefix is not None:
                    yield prefix + alias.name
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            base = _base(node, package, names, resolve)
            if base is None:
                continue
            if base:
                yield base
            yield from (f"{base}.{name}" if base else name for name in names if name != "*")


def _base(node: ast.ImportFrom, package: str, names: tuple[str, ...], resolve: Resolve) -> str | None:
    """The module that names are imported from; an empty text for the folder itself; None where it is not local."""
    if not node.level:
        prefix = resolve(node.module or "", names)
        return None if prefix is None else f"{prefix}{node.module}"
    parts = package.split(".") if package else []
    if node.level - 1 > len(parts):
        return None
    above = parts[: len(parts) - (node.level - 1)]
    return ".".join([*above, *filter(None, [node.module])])


class Rewrite(ast.NodeTransformer):
    """Makes plain imports of files in the same folder say where these are.

    They could not be left to ``sys.path`` and ``sys.modules``, which know one module of a name. Relative imports work
    as they are, by the name of the file's package.

    Args:
        root: name of the module that stands for the folder.
        package: of the file, in the folder.
    """

    def __init__(self, root: str, package: str, resolve: Resolve) -> None:
        self.root, self.resolve = root, resolve
        self.depth = len(package.split(".")) if package else 0

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if node.level > self.depth + 1:  # it would find what is around the folder's module
            (beyond,) = ast.parse("raise ImportError('attempted relative import beyond the folder of the spec')").body
            return _at(beyond, node)
        if node.level:
            return node
        prefix = self.resolve(node.module or "", tuple(alias.name for alias in node.names))
        if prefix is not None:
            node.module = f"{self.root}.{prefix}{node.module}"
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        statements: list[ast.stmt] = []
        for alias in node.names:
            prefix = self.resolve(alias.name, ())
            if prefix is None:
                statements.append(ast.Import([alias]))
            else:
                statements += _bindings(f"{self.root}.{prefix}{alias.name}", alias)
        return [_at(each, node) for each in statements]


def _at(made: ast.stmt, node: ast.stmt) -> ast.stmt:
    """A statement in the place of another."""
    for each in ast.walk(made):
        ast.copy_location(each, node)
    return made


def _bindings(whole: str, alias: ast.alias) -> Iterator[ast.stmt]:
    """Statements for ``import a.b as c``, or for ``import a.b``, which imports ``a.b`` and names ``a``.

    Args:
        whole: the name that the module has.
    """
    first = alias.name.partition(".")[0]
    yield ast.Import([ast.alias(whole, alias.asname or first)])
    if alias.asname is None and first != alias.name:
        yield ast.Import([ast.alias(whole.removesuffix(alias.name) + first, first)])
