"""The local files of a folder, with their content at the time of loading."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import itertools
import os
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tp_core.local.imports import Resolve, Rewrite, imported

#: Prefix of the names of local modules.
LOCAL = "tp_core.local."

_INIT = "__init__.py"


class Located(NamedTuple):
    """The location of a module in a folder.

    Attributes:
        file: path relative to the folder, with slashes; None for a folder without an ``__init__.py``.
        package: True if the module can have submodules.
    """

    file: str | None
    package: bool


@dataclass
class Namespace:
    """The local files of a folder under one module name, with their content when they were first read.

    This content is run, exported and passed to other processes, even if the files change later.

    Attributes:
        name: name of the module that represents the folder.
        folder: absolute path of the folder.
        sources: path relative to the folder → content, of the files that were needed.
        absent: paths relative to the folder that were searched and did not exist.
        edges: file → modules that it imports, by their names in the folder.
        extra: files that were imported by other means than an import statement.
    """

    folder: str
    name: str = ""
    sources: dict[str, bytes] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    edges: dict[str, tuple[str, ...]] = field(default_factory=dict)
    extra: set[str] = field(default_factory=set)

    # -- files -------------------------------------------------------------------------------------------------------

    def path(self, file: str) -> str:
        """The absolute path of a file of the folder."""
        return os.path.join(self.folder, *file.split("/"))

    def has(self, file: str) -> bool:
        """True if the folder has a file.

        The first call reads the file and keeps its content. From then on, the answer stays the same.
        """
        if file in self.sources or file in self.absent:
            return file in self.sources
        content = _read(self.path(file))
        if content is None:
            self.absent.add(file)
        else:
            self.sources[file] = content
        return content is not None

    def current(self) -> bool:
        """True if the folder's files have not changed."""
        same = all(_read(self.path(file)) == content for file, content in self.sources.items())
        return same and not any(os.path.isfile(self.path(file)) for file in self.absent)

    def locate(self, module: str) -> Located | None:
        """The location of a module, by its name in the folder; None if it does not exist."""
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        if len(parts) > 1:
            above = self.locate(".".join(parts[:-1]))
            if above is None or not above.package:
                return None
        inside = "/".join(parts)
        for file, package in ((f"{inside}/{_INIT}", True), (f"{inside}.py", False)):
            if self.has(file):
                return Located(file, package)
        within = any(file.startswith(f"{inside}/") for file in self.sources)
        return Located(None, True) if within or os.path.isdir(self.path(inside)) else None

    # -- imports -----------------------------------------------------------------------------------------------------

    def collect(self, module: str) -> None:
        """Read the file of a module, and the folder's files that it imports directly or indirectly."""
        for file in self._files(module):
            if file in self.edges:
                continue
            self.edges[file] = ()
            try:
                tree = ast.parse(self.sources[file])
            except (SyntaxError, ValueError):  # reported when the file is run
                continue
            self.edges[file] = tuple(imported(tree, _package(file), self.resolver(file)))
            for each in self.edges[file]:
                self.collect(each)

    def needed(self, module: str) -> dict[str, bytes]:
        """The files that a module needs, with their content: its own file, and those that it imports."""
        found: dict[str, bytes] = {}
        left = [*self._files(module), *self.extra]
        while left:
            file = left.pop()
            if file not in found:
                found[file] = self.sources[file]
                left += [each for name in self.edges.get(file, ()) for each in self._files(name)]
        return found

    def code(self, file: str) -> ast.Module:
        """A file's syntax tree, with imports rewritten so that they find the folder's other files.

        Raises:
            SyntaxError: the file is not valid Python.
            ValueError: the file has null bytes.
        """
        tree = ast.parse(self.sources[file], self.path(file))
        rewritten: ast.Module = Rewrite(self.name, _package(file), self.resolver(file)).visit(tree)
        return rewritten

    def _files(self, module: str) -> list[str]:
        """The files of a module and of its parent packages."""
        parts = module.split(".")
        located = [self.locate(".".join(parts[: number + 1])) for number in range(len(parts))]
        return [each.file for each in located if each is not None and each.file is not None]

    def resolver(self, file: str) -> Resolve:
        """The resolver of plain imports in a file."""
        return _Resolver(self, file).prefix


@dataclass(frozen=True)
class _Resolver:
    """Resolves plain imports in a file of a folder. Local files take precedence over installed packages.

    Files are searched beside the importing file, unless that is part of a package, then in the folder itself.
    """

    namespace: Namespace
    file: str

    def prefix(self, name: str, names: tuple[str, ...]) -> str | None:
        """The prefix of the folders of a module's file (see :data:`~tp_core.local.imports.Resolve`)."""
        if name == "__future__":
            return None
        return next((prefix for prefix in self._prefixes() if self._local(prefix, name, names)), None)

    def _prefixes(self) -> Iterator[str]:
        package = _package(self.file)
        if package and not self.namespace.has(f"{package.replace('.', '/')}/{_INIT}"):
            yield f"{package}."
        yield ""

    def _local(self, prefix: str, name: str, names: tuple[str, ...]) -> bool:
        first = name.partition(".")[0]
        found = self.namespace.locate(prefix + first)
        if found is None:
            return False
        if found.file is None:  # any folder looks like a package, so it must contain the imported file
            inside = [prefix + name, *(f"{prefix}{name}.{each}" for each in names)]
            return any(each is not None and each.file is not None for each in map(self.namespace.locate, inside))
        return found.file != self.file or not _installed(first, self.namespace.path(self.file))


def _installed(name: str, file: str) -> bool:
    """True if a file imports its own name, and an installed module has this name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and (spec.origin is None or os.path.abspath(spec.origin) != file)


def _package(file: str) -> str:
    """The package to which relative imports in a file refer, by its name in the folder."""
    return ".".join(file.split("/")[:-1])


def _read(path: str) -> bytes | None:
    """The content of a file; None if it does not exist."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


# -- the namespaces of this process ------------------------------------------------------------------------------------

_known: dict[str, Namespace] = {}
_lock = threading.RLock()


def namespace_of(folder: str, module: str) -> Namespace:
    """The namespace with the present content of a module and of the folder's files that it imports.

    An existing namespace is reused as long as none of its files has changed.
    """
    folder = os.path.abspath(folder)
    with _lock:
        for known in reversed(_known.values()):
            if known.folder == folder and known.current():
                known.collect(module)
                return known
        made = Namespace(folder)
        made.collect(module)
        made.name = _free_name(made)
        _known[made.name] = made
        return made


def namespaces() -> list[Namespace]:
    """The namespaces of this process."""
    return list(_known.values())


def adopt(others: Iterable[Namespace]) -> None:
    """Take over the namespaces of another process, so that this one runs the same content."""
    for other in others:
        own = _known.setdefault(other.name, other)
        if own is not other:
            for file in other.sources.keys() - own.sources.keys():
                own.absent.discard(file)
                own.sources[file] = other.sources[file]


def at_name(name: str) -> Namespace | None:
    """The namespace of this name, which encodes its folder; None for other names."""
    if name not in _known:
        found = re.fullmatch(rf"{re.escape(LOCAL)}f[0-9a-f]{{12}}(?:x\d+)?((?:_[0-9a-f]{{2}}|[A-Za-z0-9])+)", name)
        folder = _decoded(found[1]) if found else ""
        if not os.path.isdir(folder):
            return None
        _known[name] = Namespace(folder, name)  # an object that was pickled elsewhere; the present files are used
    return _known[name]


def _free_name(made: Namespace) -> str:
    content = hashlib.blake2b(repr(sorted(made.sources.items())).encode(), digest_size=6).hexdigest()
    numbers = ("" if number == 1 else f"x{number}" for number in itertools.count(1))
    names = (f"{LOCAL}f{content}{number}{_encoded(made.folder)}" for number in numbers)
    return next(name for name in names if name not in _known)


def _encoded(folder: str) -> str:
    """A path as part of a Python name; characters that a name cannot have are replaced by their bytes as text."""
    return re.sub(rb"[^A-Za-z0-9]", lambda found: b"_%02x" % found[0][0], os.fsencode(folder)).decode()


def _decoded(text: str) -> str:
    plain = re.sub(rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return os.fsdecode(plain)
