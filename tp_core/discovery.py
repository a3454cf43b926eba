"""Discovery of modules in three steps: metadata → index → config class.

The index is made only from the metadata of installed distributions; nothing is imported. A config class is imported
when a spec or ``tp modules`` needs it. A broken module raises :class:`BrokenModuleError` only when it is used.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tp_core.errors import TPError, describe_error
from tp_core.packages import installed, metadata
from tp_core.packages.first_party import first_party
from tp_core.packages.installed import installed_version
from tp_core.packages.metadata import normalized
from tp_core.packages.third_party import interrupts, printing_apart

GROUP = "tp.v1."

#: The metadata file with a distribution's entry points.
ENTRY_POINTS = "entry_points.txt"

#: Our group prefix as bytes, in UTF-8 and in UTF-16, which some editors write.
_MENTION, _WIDE_MENTION = GROUP.encode(), GROUP.encode("utf-16-le").rstrip(b"\0")

#: The kind whose entries declare kinds; each entry names the base class of the options of a kind.
KINDS = "kinds"


@dataclass(frozen=True)
class PluginEntry:
    """An entry point and its distribution."""

    kind: str
    name: str
    value: str
    _distribution: Any = field(repr=False, compare=False)

    @property
    def distribution(self) -> str:
        """Name of the distribution that offers this entry. It is read on first use, as reading the metadata is slow."""
        return metadata.header(self._distribution, "Name")

    @property
    def version(self) -> str:
        return metadata.header(self._distribution, "Version")

    @property
    def requirements(self) -> list[str]:
        """The requirements of its distribution, as written in the metadata."""
        return [*metadata.headers(self._distribution, "Requires-Dist")]


@functools.cache
def own_version() -> str:
    """The version of tp-core itself."""
    found = installed_version("tp-core")
    if not found:
        raise ModuleNotFoundError("the distribution tp-core is not installed", name="tp-core")
    return found


class BrokenModuleError(TPError):
    """The error for an installed entry that cannot be loaded; ``cause`` is the original exception."""

    def __init__(self, entry: PluginEntry, cause: BaseException) -> None:
        from tp_core.packages.libraries import broken_library

        self.entry, self.cause = entry, cause
        super().__init__(
            f"{singular(entry.kind)} '{entry.name}' of {entry.distribution} {entry.version} ({entry.value}) cannot be "
            f"loaded: {broken_library(cause) or describe_error(cause)}"
        )


class UnknownModuleError(TPError):
    """The error for a name that no installed package offers; ``suggestion`` is the nearest valid name, or empty."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        self.message, self.suggestion = message, suggestion
        super().__init__(f"{message}; {suggestion}" if suggestion else message)


def singular(kind: str) -> str:
    """The singular of a kind's name, for messages."""
    return {
        "presets": "preset",
        "commands": "command",
        "hooks": "hooks module",
        KINDS: "kind",
    }.get(kind, kind.replace("_", " "))


def article(kind: str) -> str:
    """The singular of a kind's name with its article, for messages."""
    name = singular(kind)
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def owner_of(kind: str, name: str) -> str:
    """Our own distribution that has a module of this bare name; empty if none has."""
    return next((package for package, kinds in first_party().items() if name in kinds.get(kind, ())), "")


def packages() -> dict[str, PluginEntry]:
    """The Python packages with the modules that distributions offer, each with one of its entries."""
    return {entry.value.partition(":")[0].partition(".")[0]: entry for entry in index().entries()}


def is_own(entry: PluginEntry) -> bool:
    """True if one of our own distributions offers the entry."""
    return normalized(entry.distribution) in first_party()


class Index:
    """Entries by kind and name, sorted. If several distributions offer a name, all of their entries are kept.

    Attributes:
        kinds: the kinds of modules that distributions declare.
    """

    def __init__(self, entries: Iterable[PluginEntry]) -> None:
        every = list(entries)
        self.kinds = tuple(sorted({entry.name for entry in every if entry.kind == KINDS}))
        self._entries: dict[str, dict[str, list[PluginEntry]]] = {kind: {} for kind in (*self.kinds, KINDS)}
        for entry in every:
            if entry.kind not in self._entries:  # an undeclared kind, which tp doctor reports
                continue
            same = self._entries[entry.kind].setdefault(entry.name, [])
            # The same distribution may be found twice on sys.path (an editable install over a wheel).
            if not any(other.distribution == entry.distribution for other in same):
                same.append(entry)
            if len(same) > 1:  # sort them, independently of the file system's order
                same.sort(key=lambda offer: offer.distribution)

    def names(self, kind: str) -> list[str]:
        return sorted(self._entries.get(kind, ()))

    def entries(self, kind: str | None = None) -> Iterator[PluginEntry]:
        for each in self.kinds if kind is None else (kind,):
            for name in self.names(each):
                yield from self._entries[each][name]

    def name_of(self, kind: str, cls: type) -> str:
        """The name by which a spec picks a class of options: that of its entry point, else ``module:Class``."""
        value = f"{cls.__module__}:{cls.__qualname__}"
        return next((entry.name for entry in self.entries(kind) if entry.value == value), value)

    def find(self, kind: str, name: str) -> PluginEntry:
        """The entry for ``name``, which may be written ``name@distribution``.

        If one of our own distributions has the bare name, its entry is used, so that other packages cannot change the
        meaning of a spec.

        Raises:
            UnknownModuleError: no entry has the name. The message has near matches, the same name in other kinds, or
                the package to install.
            TPError: several distributions offer the name, and the spec does not choose one.
        """
        bare, _, preferred = name.partition("@")
        found = every = self._entries.get(kind, {}).get(bare, [])
        if preferred:
            wanted = normalized(preferred)
            found = [e for e in every if normalized(e.distribution) == wanted]
        elif owner := owner_of(kind, bare) or next((e.distribution for e in every if is_own(e)), ""):
            found = [e for e in every if normalized(e.distribution) == owner]
        if len(found) == 1:
            return found[0]
        if found:
            offers = " and ".join(f"{e.distribution} {e.version}" for e in found)
            ways = " or ".join(f"'{bare}@{e.distribution}'" for e in found)
            raise TPError(f"the {singular(kind)} '{bare}' is offered by {offers}; write {ways} to say which")
        if preferred and every:
            offers = " and ".join(e.distribution for e in every)
            raise UnknownModuleError(f"{preferred} offers no {singular(kind)} '{bare}'", f"{offers} does")
        others = " or ".join(f"'{bare}@{e.distribution}' for that of {e.distribution} {e.version}" for e in every)
        suggestion = self._suggest(kind, bare) + (f"; write {others}" if others else "")
        raise UnknownModuleError(f"unknown {singular(kind)} '{name}'", suggestion)

    def _suggest(self, kind: str, name: str) -> str:
        # A known meaning of the name is more helpful than a similar name ('clr' looks like 'cls').
        others = [article(k) for k in self.kinds if k not in (kind, "commands") and name in self._entries[k]]
        offered = self.names(kind)
        if others:
            none = "" if offered else f" (no installed package offers any {singular(kind)})"
            return f"'{name}' is the name of {' and '.join(others)}, not of {article(kind)}{none}"
        if package := owner_of(kind, name):
            return f"it comes with {package}: pip install {package}"
        if not offered:
            example = ": pip install tp-text, for example" if kind in ("processor", "tokenizer", "presets") else ""
            return f"no installed package offers any {singular(kind)}{example}"
        from tp_core.spec.hints.value_hints import value_hint

        return value_hint(name, offered) or f"installed: {', '.join(offered)}"


def scan(path: list[str] | None = None) -> Iterator[PluginEntry]:
    """Read the entries of all installed distributions (on ``path``, default ``sys.path``).

    Damaged metadata are skipped; :func:`tp_core.packages.defects.defects` reports them.
    """
    for distribution in distributions(path):
        for point in metadata.points(metadata.read(distribution, ENTRY_POINTS).text):
            kind = point.group.removeprefix(GROUP)
            if point.name and point.group.startswith(GROUP) and not point.damage:
                yield PluginEntry(kind, point.name, point.value, distribution)


def distributions(path: list[str] | None = None) -> Iterator[Any]:
    """The installed distributions that have entries of ours, also damaged ones."""
    for distribution in installed.distributions(path):
        # Most distributions have no entry of ours; a substring test avoids parsing their files.
        content = metadata.raw(distribution, ENTRY_POINTS)
        if _MENTION in content or _WIDE_MENTION in content:
            yield distribution


#: The distributions from which the index was made; empty before the index exists.
_shelves: list[tuple[str, int]] = []


@functools.cache
def index() -> Index:
    """The index of this process. It is made once, and again after :func:`refresh` has found other distributions."""
    _shelves[:] = _distributions()
    return Index(scan())


def refresh() -> None:
    """Discard an outdated index: in a notebook, packages may be installed while it runs."""
    if _shelves and _shelves != _distributions():
        importlib.invalidate_caches()
        _shelves.clear()
        index.cache_clear()


def _distributions() -> list[tuple[str, int]]:
    """The folders of installed metadata with their modification times, which is faster than reading the metadata."""
    found = []
    for folder in installed.folders():
        for name in installed.metadata_folders(folder):
            with contextlib.suppress(OSError):
                path = os.path.join(folder, name)
                found.append((path, os.stat(path).st_mtime_ns))
    return sorted(found)


def load(entry: PluginEntry) -> Any:
    """Import what an entry names (a config class, a command).

    Raises:
        BrokenModuleError: the import raised an exception, which is its cause.
    """
    module, _, attribute = entry.value.partition(":")
    try:
        with printing_apart():
            value: Any = importlib.import_module(module)
            for part in filter(None, attribute.split(".")):
                value = getattr(value, part)
    except BaseException as error:
        if interrupts(error):
            raise
        raise BrokenModuleError(entry, error) from error
    return value


def preset_file(entry: PluginEntry) -> Path:
    """The file of a preset: ``<name>.yaml`` in the package that the entry names.

    Raises:
        BrokenModuleError: the package or the file cannot be found, or a parent package raises.
    """
    try:
        with printing_apart():
            package = importlib.util.find_spec(entry.value)
        if package is None or not package.submodule_search_locations:
            raise ModuleNotFoundError(f"there is no package {entry.value}")
        file = Path(next(iter(package.submodule_search_locations)), f"{entry.name}.yaml")
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
    except BaseException as error:
        if interrupts(error):
            raise
        raise BrokenModuleError(entry, error) from error
    return file
