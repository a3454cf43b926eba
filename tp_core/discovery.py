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
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import importlib_metadata

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean

GROUP = "tp.v1."

KINDS = (
    "embedding",
    "encoder",
    "decoder",
    "target",
    "processor",
    "tokenizer",
    "visual_tokenizer",
    "converter",
    "presets",
    "hooks",
    "commands",
)

#: Names that our own distributions offer, so that a missing one can be answered with what to install.
FIRST_PARTY = {
    "tp-text": (
        *("word", "seg", "mlm", "sp", "lm", "bilm", "sgns", "bert"),
        *("wordpiece", "bpe", "sentencepiece", "char", "space"),
    ),
    "tp-vision": ("patch", "patch_pos", "masked_patch", "visible", "mae", "pixels", "visual_tokens", "image"),
    "tp-audio": ("speech", "waveform", "conformer", "wavlm", "ctc", "units", "wav2vec2"),
    "tp-crossmodal": ("word_patch", "patch_word", "region", "co_attention", "itm", "image_text", "image_text_pair"),
}


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
        return _header(self._distribution, "Name")

    @property
    def version(self) -> str:
        return _header(self._distribution, "Version")


@functools.cache
def _header(distribution: Any, name: str) -> str:
    """A header of a distribution's metadata, found without the email parser, which would cost 2 ms a file."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return str(line.partition(":")[2].strip())
        if not line:
            break
    # A damaged installation; the folder is called name-version.dist-info.
    bare, _, version = Path(str(getattr(distribution, "_path", ""))).stem.partition("-")
    return (bare.replace("_", "-") if name == "Name" else version) or "unknown"


@functools.cache
def own_version() -> str:
    """The version of tp-core itself."""
    found = installed_version("tp-core")
    if not found:
        raise importlib_metadata.PackageNotFoundError("tp-core")
    return found


def installed_version(distribution: str) -> str:
    """The version of a distribution that is installed now; empty for one that is not."""
    found: Iterable[Any] = importlib_metadata.distributions(name=distribution, path=_folders())
    return next((_header(each, "Version") for each in found), "")


def _normalized(name: str) -> str:
    """A distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(error: BaseException) -> str:
    """An exception's type and message."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Broken(TPError):
    """An entry that is on the shelf but cannot be loaded; ``cause`` is the original exception."""

    def __init__(self, entry: Entry, cause: BaseException) -> None:
        self.entry, self.cause = entry, cause
        super().__init__(
            f"{singular(entry.kind)} '{entry.name}' of {entry.distribution} {entry.version} ({entry.value}) cannot be "
            f"loaded: {named(cause)}"
        )


class NotFound(TPError):
    """No installed package offers the name; ``suggestion`` is the nearest right thing, or empty."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        self.message, self.suggestion = message, suggestion
        super().__init__(f"{message}; {suggestion}" if suggestion else message)


def singular(kind: str) -> str:
    """A kind's name in a sentence about one of it."""
    return {
        "presets": "preset",
        "visual_tokenizer": "visual tokenizer",
        "commands": "command",
        "hooks": "hooks module",
    }.get(kind, kind)


def article(kind: str) -> str:
    """A kind's name in a sentence, with its article."""
    name = singular(kind)
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


class Index:
    """Entries by kind and name, sorted; a name offered by several distributions keeps them all."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, dict[str, list[Entry]]] = {kind: {} for kind in KINDS}
        for entry in entries:
            same = self._entries[entry.kind].setdefault(entry.name, [])
            # The same distribution may be found twice on sys.path (an editable install over a wheel).
            if not any(other.distribution == entry.distribution for other in same):
                same.append(entry)
            if len(same) > 1:  # in an order that no file system decides
                same.sort(key=lambda offer: offer.distribution)

    def names(self, kind: str) -> list[str]:
        return sorted(self._entries[kind])

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        for each in KINDS if kind is None else (kind,):
            for name in self.names(each):
                yield from self._entries[each][name]

    def find(self, kind: str, name: str) -> Entry:
        """The entry for ``name``, which may be written ``name@distribution``.

        Raises:
            NotFound: with near matches, the same name in other kinds, or the package to install.
            TPError: when two distributions offer the name and the spec does not say which.
        """
        bare, _, preferred = name.partition("@")
        found = self._entries[kind].get(bare, [])
        if preferred:
            wanted = _normalized(preferred)
            found = [e for e in found if _normalized(e.distribution) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            offers = " and ".join(f"{e.distribution} {e.version}" for e in found)
            ways = " or ".join(f"'{bare}@{e.distribution}'" for e in found)
            raise TPError(f"the {singular(kind)} '{bare}' is offered by {offers}; write {ways} to say which")
        if preferred and bare in self._entries[kind]:
            offers = " and ".join(e.distribution for e in self._entries[kind][bare])
            raise NotFound(f"{preferred} offers no {singular(kind)} '{bare}'", f"{offers} does")
        raise NotFound(f"unknown {singular(kind)} '{name}'", self._suggest(kind, bare))

    def _suggest(self, kind: str, name: str) -> str:
        # What the name is elsewhere says more than what it looks like here ('clr' looks like 'cls').
        others = [article(k) for k in KINDS if k not in (kind, "commands") and name in self._entries[k]]
        offered = self.names(kind)
        if others:
            none = "" if offered else f" (no installed package offers any {singular(kind)})"
            return f"'{name}' is the name of {' and '.join(others)}, not of {article(kind)}{none}"
        for package, names in FIRST_PARTY.items():
            if name in names:
                return f"it comes with {package}: pip install {package}"
        if not offered:
            example = ": pip install tp-text, for example" if kind in ("processor", "tokenizer", "presets") else ""
            return f"no installed package offers any {singular(kind)}{example}"
        return did_you_mean(name, offered) or f"installed: {', '.join(offered)}"


def _folders() -> list[str]:
    """``sys.path`` without what does not exist (python311.zip), which would be opened as an archive all the same."""
    return [path for path in sys.path if os.path.exists(path or ".")]


def scan(path: list[str] | None = None) -> Iterator[Entry]:
    """Read the entries of all installed distributions (on ``path``, default ``sys.path``)."""
    for distribution in importlib_metadata.distributions(path=_folders() if path is None else path):
        try:
            text = distribution.read_text("entry_points.txt")
            # Most distributions have no entry of ours: a substring test spares parsing their files.
            if not text or GROUP not in text:
                continue
            points = list(distribution.entry_points)
        except Exception:  # damaged metadata of a bystander is not ours to report
            continue
        for point in points:
            kind = point.group.removeprefix(GROUP)
            if point.group.startswith(GROUP) and kind in KINDS:
                yield Entry(kind, point.name, point.value, distribution)


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
    for folder in _folders():
        with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
            found += [(e.path, e.stat().st_mtime_ns) for e in entries if e.name.endswith((".dist-info", ".egg-info"))]
    return sorted(found)


def load(entry: Entry) -> Any:
    """Import what an entry names (a config class, a command).

    Raises:
        Broken: whatever the import raised, with the entry and the original exception.
    """
    module, _, attribute = entry.value.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            value = getattr(value, part)
    except (Exception, SystemExit) as error:
        raise Broken(entry, error) from error
    return value


def preset_file(entry: Entry) -> Path:
    """The file of a preset: ``<name>.yaml`` in the package that the entry names.

    Raises:
        Broken: the package cannot be found, or a package above it raises.
    """
    try:
        package = importlib.util.find_spec(entry.value)
        if package is None or not package.submodule_search_locations:
            raise ModuleNotFoundError(f"there is no package {entry.value}")
        file = Path(next(iter(package.submodule_search_locations)), f"{entry.name}.yaml")
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
    except (Exception, SystemExit) as error:
        raise Broken(entry, error) from error
    return file


def load_local(name: str, base: str) -> Any:
    """The class that ``my_file:MyConfig`` names, of a file beside the spec or an importable module.

    Raises:
        TPError: when the file, or the class in it, does not exist or the file raises.
    """
    from tp_core.local.load import load

    return load(name, base).value
