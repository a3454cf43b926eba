"""The import machinery of local modules."""

from __future__ import annotations

import importlib.abc
import importlib.util
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from tp_core.local.imports import BY_VALUE, by_value
from tp_core.local.namespace import LOCAL, Namespace, at_name


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of namespaces, and the packages that represent namespaces."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(LOCAL):
            return None
        root, _, module = fullname.removeprefix(LOCAL).partition(".")
        namespace = at_name(LOCAL + root)
        if namespace is None:
            return None
        if not module:
            return _package_spec(fullname)
        located = namespace.locate(module)
        if located is None:
            return None
        if located.file is None:
            return _package_spec(fullname)
        if located.file not in namespace.edges:  # no import statement of the other files imports it
            namespace.extra.add(located.file)
            namespace.collect(module)
        loader = Loader(namespace, located.file)
        file = namespace.path(located.file)
        spec = importlib.util.spec_from_loader(fullname, loader, origin=file, is_package=located.package)
        assert spec is not None
        spec.has_location = True
        return spec


def _package_spec(name: str) -> ModuleSpec:
    """The spec of a package without a file. Its path is empty, since only this finder knows its modules."""
    return ModuleSpec(name, None, is_package=True)


class Loader(importlib.abc.InspectLoader):
    """Runs one file of a namespace."""

    def __init__(self, namespace: Namespace, file: str) -> None:
        self.namespace, self.file = namespace, file

    def exec_module(self, module: ModuleType) -> None:
        tree = self.namespace.code(self.file)
        module.__dict__[BY_VALUE] = by_value(self.namespace.name, self.namespace.resolver(self.file))
        exec(compile(tree, self.namespace.path(self.file), "exec", dont_inherit=True), module.__dict__)

    def get_source(self, fullname: str) -> str:
        """The source code that was run."""
        return importlib.util.decode_source(self.namespace.sources[self.file])

    def is_package(self, fullname: str) -> bool:
        return self.file.endswith("__init__.py")
