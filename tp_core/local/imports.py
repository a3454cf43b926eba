"""Import statements of local files: detect imports of files in the same folder, and make them find these files."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

N = TypeVar("N", bound=ast.AST)

#: A function of a module's name as written and the names imported from it. It returns the prefix of the module's
#: folders: ``"pkg."`` for ``pkg/helper.py``, an empty text for ``helper.py``, None for an installed module.
Resolve = Callable[[str, tuple[str, ...]], "str | None"]


def imported(tree: ast.Module, package: str, resolve: Resolve) -> Iterator[str]:
    """The local modules that a file may import, at any place in the file, by their names in the folder.

    Args:
        package: package of the file in the folder, to which relative imports refer.
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
        elif isinstance(node, ast.Call):
            name = _imported_by_call(node)
            prefix = resolve(name, ()) if name else None
            if prefix is not None:
                yield prefix + name


#: Functions that import a module by a name that is a value.
_FUNCTIONS = ("import_module", "__import__")


def _imported_by_call(node: ast.Call) -> str:
    """The module that a call such as ``importlib.import_module("helper")`` imports; empty if known only at run time."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = node.args[0] if name in _FUNCTIONS and node.args else None
    text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return "" if text.startswith(".") else text


def _base(node: ast.ImportFrom, package: str, names: tuple[str, ...], resolve: Resolve) -> str | None:
    """The module that names are imported from; an empty text for the folder itself; None if it is not local."""
    if not node.level:
        prefix = resolve(node.module or "", names)
        return None if prefix is None else f"{prefix}{node.module}"
    parts = package.split(".") if package else []
    if node.level - 1 > len(parts):
        return None
    above = parts[: len(parts) - (node.level - 1)]
    return ".".join([*above, *filter(None, [node.module])])


class Rewrite(ast.NodeTransformer):
    """Rewrites plain imports of files in the same folder to the full names of these modules.

    ``sys.path`` and ``sys.modules`` cannot be used, as they allow only one module per name. Relative imports work
    unchanged, through the name of the file's package.

    Args:
        root: name of the module that represents the folder.
        package: package of the file in the folder.
    """

    def __init__(self, root: str, package: str, resolve: Resolve) -> None:
        self.root, self.resolve = root, resolve
        self.depth = len(package.split(".")) if package else 0

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.generic_visit(node)
        if node.attr != "import_module" or not isinstance(node.ctx, ast.Load):
            return node
        return _placed(_finding(node), node)

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id != "__import__" or not isinstance(node.ctx, ast.Load):
            return node
        return _placed(_finding(node), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if node.module == "importlib" and not node.level:
            return [node, *(_placed(each, node) for each in _found_by_value(node))]
        if node.level > self.depth + 1:  # it would import packages above the folder's module
            (beyond,) = ast.parse("raise ImportError('attempted relative import beyond the folder of the spec')").body
            return _placed(beyond, node)
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
        return [_placed(each, node) for each in statements]


def _finding(function: ast.expr) -> ast.expr:
    """An expression that wraps an import function, so that it also finds local files (:func:`by_value`)."""
    return ast.Call(ast.Name(BY_VALUE, ast.Load()), [function], [])


def _found_by_value(node: ast.ImportFrom) -> Iterator[ast.stmt]:
    """The statements to add after ``from importlib import import_module``."""
    for alias in node.names:
        if alias.name == "import_module":
            name = alias.asname or alias.name
            yield ast.Assign([ast.Name(name, ast.Store())], _finding(ast.Name(name, ast.Load())))


#: Name of the function made by :func:`by_value` in local modules.
BY_VALUE = "__tp_by_value__"


def by_value(root: str, resolve: Resolve) -> Callable[[Any], Any]:
    """A function that wraps ``importlib.import_module`` and similar functions, so that they find a folder's files.

    Args:
        root: name of the module that represents the folder.
    """

    def import_module(name: str, package: str | None = None) -> Any:
        prefix = None if name.startswith(".") else resolve(name, ())
        return importlib.import_module(name if prefix is None else f"{root}.{prefix}{name}", package)

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        prefix = None if level else resolve(name, tuple(fromlist or ()))
        if prefix is None:
            return __import__(name, globals, locals, fromlist, level)
        whole = importlib.import_module(f"{root}.{prefix}{name}")
        return whole if fromlist else importlib.import_module(f"{root}.{prefix}{name.partition('.')[0]}")

    def finding(function: Any) -> Any:
        return {importlib.import_module: import_module, __import__: import_}.get(function, function)

    return finding


def _placed(made: N, node: ast.AST) -> N:
    """New code with the source position of other code."""
    for each in ast.walk(made):
        ast.copy_location(each, node)
    return made


def _bindings(whole: str, alias: ast.alias) -> Iterator[ast.stmt]:
    """Statements for ``import a.b as c``, or for ``import a.b``, which imports ``a.b`` and names ``a``.

    Args:
        whole: the full name of the module.
    """
    first = alias.name.partition(".")[0]
    yield ast.Import([ast.alias(whole, alias.asname or first)])
    if alias.asname is None and first != alias.name:
        yield ast.Import([ast.alias(whole.removesuffix(alias.name) + first, first)])
