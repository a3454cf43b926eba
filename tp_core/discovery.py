"""Discovery in three small steps: metadata → index → config class.

The index is made from installed metadata alone; nothing is imported. A config class is imported when a spec, or
``tp modules``, asks for it. What fails on the way is data (:class:`Broken`), never an exception for bystanders.
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

from tp_core.errors import TPError, named
from tp_core.packages import installed, metadata
from tp_core.packages.first_party import first_party
from tp_core.packages.installed import installed_version
from tp_core.packages.metadata import normalized
from tp_core.packages.third_party import interrupts, printing_apart

GROUP = "tp.v1."

#: The file that names a distribution's entries.
ENTRY_POINTS = "entry_points.txt"

#: Our group as a file has it, in UTF-8 and in UTF-16, which some editors write.
_MENTION, _WIDE_MENTION = GROUP.encode(), GROUP.encode("utf-16-le").rstrip(b"\0")

#: The kind of kinds: what it names is the base class of the options of a kind.
KINDS = "kinds"


@dataclass(frozen=True)
class Entry:
    """One name on the shelves: an entry point and the distribution it came from."""

    kind: str
    name: str
    value: str
    _distribution: Any = field(repr=False, compare=False)

    @property
    def distribution(self) -> str:
        """Name of the distribution that offers this entry. Read late: it costs reading its metadata."""
        return metadata.header(self._distribution, "Name")

    @property
    def version(self) -> str:
        return metadata.header(self._distribution, "Version")

    @property
    def requirements(self) -> list[str]:
        """The distributions that its own needs, as its metadata write them."""
        return [*metadata.headers(self._distribution, "Requires-Dist")]


@functools.cache
def own_version() -> str:
    """The version of tp-core itself."""
    found = installed_version("tp-core")
    if not found:
        raise ModuleNotFoundError("the distribution tp-core is not installed", name="tp-core")
    return found


class BrokenModuleError(TPError):
    """An entry that is on the shelf but cannot be loaded; ``cause`` is the original exception."""

    def __init__(self, entry: Entry, cause: BaseException) -> None:
        from tp_core.packages.libraries import broken_library

        self.entry, self.cause = entry, cause
        super().__init__(
            f"{singular(entry.kind)} '{entry.name}' of {entry.distribution} {entry.version} ({entry.value}) cannot be "
            f"loaded: {broken_library(cause) or named(cause)}"
        )


class UnknownModuleError(TPError):
    """No installed package offers the name; ``suggestion`` is the nearest right thing, or empty."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        self.message, self.suggestion = message, suggestion
        super().__init__(f"{message}; {suggestion}" if suggestion else message)


def singular(kind: str) -> str:
    """A kind's name in a sentence about one of it."""
    return {
        "presets": "preset",
        "commands": "command",
        "hooks": "hooks module",
        KINDS: "kind",
    }.get(kind, kind.replace("_", " "))


def article(kind: str) -> str:
    """A kind's name in a sentence, with its article."""
    name = singular(kind)
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def owner_of(kind: str, name: str) -> str:
    """The distribution of ours that a module's bare name is of; empty for a name of others."""
    return next((package for package, kinds in first_party().items() if name in kinds.get(kind, ())), "")


def packages() -> dict[str, Entry]:
    """The packages of Python that hold what distributions offer, each with one of the entries."""
    return {entry.value.partition(":")[0].partition(".")[0]: entry for entry in index().entries()}


def is_own(entry: Entry) -> bool:
    """True for what one of our own distributions offers."""
    return normalized(entry.distribution) in first_party()


class Index:
    """Entries by kind and name, sorted; a name offered by several distributions keeps them all.

    Attributes:
        kinds: the kinds of modules that some distribution declares.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        every = list(entries)
        self.kinds = tuple(sorted({entry.name for entry in every if entry.kind == KINDS}))
        self._entries: dict[str, dict[str, list[Entry]]] = {kind: {} for kind in (*self.kinds, KINDS)}
        for entry in every:
            if entry.kind not in self._entries:  # whose kind nobody declares: told by tp doctor
                continue
            same = self._entries[entry.kind].setdefault(entry.name, [])
            # The same distribution may be found twice on sys.path (an editable install over a wheel).
            if not any(other.distribution == entry.distribution for other in same):
                same.append(entry)
            if len(same) > 1:  # in an order that no file system decides
                same.sort(key=lambda offer: offer.distribution)

    def names(self, kind: str) -> list[str]:
        return sorted(self._entries.get(kind, ()))

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        for each in self.kinds if kind is None else (kind,):
            for name in self.names(each):
                yield from self._entries[each][name]

    def find(self, kind: str, name: str) -> Entry:
        """The entry for ``name``, which may be written ``name@distribution``.

        A bare name that one of our own distributions has is ours: no other package changes what a spec means.

        Raises:
            NotFound: with near matches, the same name in other kinds, or the package to install.
            TPError: when two distributions offer the name and the spec does not say which.
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
        # What the name is elsewhere says more than what it looks like here ('clr' looks like 'cls').
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
        from tp_core.spec.hints.words import value_hint

        return value_hint(name, offered) or f"installed: {', '.join(offered)}"


def scan(path: list[str] | None = None) -> Iterator[Entry]:
    """Read the entries of all installed distributions (on ``path``, default ``sys.path``).

    What is damaged is passed over; :func:`tp_core.packages.defects.defects` tells of it.
    """
    for distribution in distributions(path):
        for point in metadata.points(metadata.read(distribution, ENTRY_POINTS).text):
            kind = point.group.removeprefix(GROUP)
            if point.name and point.group.startswith(GROUP) and not point.damage:
                yield Entry(kind, point.name, point.value, distribution)


def distributions(path: list[str] | None = None) -> Iterator[Any]:
    """The installed distributions that offer something to us, or mean to."""
    for distribution in installed.distributions(path):
        # Most distributions have no entry of ours: a substring test spares parsing their files.
        content = metadata.raw(distribution, ENTRY_POINTS)
        if _MENTION in content or _WIDE_MENTION in content:
            yield distribution


#: Distributions that the index was made of; empty before there is one.
_shelves: list[tuple[str, int]] = []


@functools.cache
def index() -> Index:
    """The index of this process, made once, and anew when :func:`refresh` finds other distributions."""
    _shelves[:] = _distributions()
    return Index(scan())


def refresh() -> None:
    """Forget an index that no longer tells what is installed: in a notebook, packages come while it runs."""
    if _shelves and _shelves != _distributions():
        importlib.invalidate_caches()
        _shelves.clear()
        index.cache_clear()


def _distributions() -> list[tuple[str, int]]:
    """The folders of installed metadata with the times of their last change; cheap beside reading them."""
    found = []
    for folder in installed.folders():
        for name in installed.metadata_folders(folder):
            with contextlib.suppress(OSError):
                path = os.path.join(folder, name)
                found.append((path, os.stat(path).st_mtime_ns))
    return sorted(found)


def load(entry: Entry) -> Any:
    """Import what an entry names (a config class, a command).

    Raises:
        Broken: whatever the import raised, with the entry and the original exception.
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


def preset_file(entry: Entry) -> Path:
    """The file of a preset: ``<name>.yaml`` in the package that the entry names.

    Raises:
        Broken: the package cannot be found, or a package above it raises.
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
