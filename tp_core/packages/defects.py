"""Faults in the metadata of installed distributions: damaged files, unknown groups, unmet requirements.

``tp doctor`` and ``tp modules`` list the faults; other commands do not check for them. Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tp_core import discovery
from tp_core.discovery import ENTRY_POINTS, GROUP, KINDS, index
from tp_core.packages import installed, metadata
from tp_core.suggest import did_you_mean


class Defect(NamedTuple):
    """One fault of an installed distribution."""

    distribution: str
    version: str
    text: str


def defects(path: list[str] | None = None) -> list[Defect]:
    """The faults of the distributions that offer modules, sorted by name."""
    offering, versions = list(discovery.distributions(path)), _Versions()
    found = [defect for each in offering for defect in (*_of(each, versions), *_twice(each, offering))]
    return sorted(dict.fromkeys(found), key=lambda each: (each.distribution, each.version))


class _Versions:
    """The versions of installed distributions. Every folder is listed once, and only the needed metadata are read."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        for each in installed.distributions():
            self._found.setdefault(installed.name_of(each), each)

    def of(self, name: str) -> str:
        """The version of a distribution; empty if it is not installed."""
        found = self._found.get(metadata.normalized(name))
        return metadata.header(found, "Version") if found is not None else ""


def _of(distribution: Any, versions: _Versions) -> Iterator[Defect]:
    name, version = metadata.header(distribution, "Name"), metadata.header(distribution, "Version")
    for text in (*_files(distribution), *_points(distribution), *unmet(distribution, versions)):
        yield Defect(name, version, text)


def _twice(distribution: Any, others: Iterable[Any]) -> Iterator[Defect]:
    """Report a distribution with the metadata of two versions, as an interrupted upgrade leaves them."""
    place, name = _place(distribution)
    for other in others:
        if other is not distribution and place is not None and _place(other) == (place, name):
            version = metadata.header(other, "Version")
            text = f"version {version} is installed in {place} as well: uninstall {name}, and install it again"
            yield Defect(metadata.header(distribution, "Name"), metadata.header(distribution, "Version"), text)


def _place(distribution: Any) -> tuple[Any, str]:
    folder = getattr(distribution, "_path", None)
    return getattr(folder, "parent", None), metadata.normalized(metadata.header(distribution, "Name"))


def _files(distribution: Any) -> Iterator[str]:
    for file in (ENTRY_POINTS, "METADATA"):
        if damage := metadata.read(distribution, file).damage:
            yield damage
    for header in ("Name", "Version"):
        if not next(metadata.headers(distribution, header), ""):
            folder = metadata.folder_name(distribution)
            yield f"METADATA has no {header}; '{metadata.header(distribution, header)}' is that of the folder {folder}"


def _points(distribution: Any) -> Iterator[str]:
    unknown: dict[str, int] = {}
    for point in metadata.points(metadata.read(distribution, ENTRY_POINTS).text):
        kind = point.group.removeprefix(GROUP)
        if point.damage:
            yield f"{ENTRY_POINTS}, line {point.line}: {point.damage}"
        elif point.group.startswith(GROUP) and kind not in (*index().kinds, KINDS):
            unknown.setdefault(kind, point.line)
    for kind, line in unknown.items():
        near = did_you_mean(kind, index().kinds) or f"the kinds are {', '.join(index().kinds)}"
        yield f"{ENTRY_POINTS}, line {line}: unknown group '{GROUP}{kind}'; {near}"


def unmet(distribution: Any, versions: _Versions) -> Iterator[str]:
    """The unmet requirements of a distribution, one sentence each."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:  # the library packaging is missing, which is itself an unmet requirement
        yield from _absent(metadata.headers(distribution, "Requires-Dist"), versions)
        return
    for text in metadata.headers(distribution, "Requires-Dist"):
        try:
            needs = Requirement(text)
            if needs.marker is not None and not needs.marker.evaluate({"extra": ""}):
                continue
        except (InvalidRequirement, ValueError) as error:
            yield f"METADATA: '{text}' is no requirement: {str(error).splitlines()[0]}"
            continue
        version = versions.of(needs.name)
        wanted = f"{needs.name}{needs.specifier}"
        if not version:
            yield f"requires {wanted}, which is not installed: pip install '{wanted}'"
        elif not _met(needs.specifier, version):
            yield f"requires {wanted}, and {version} is installed: pip install '{wanted}'"


def _met(specifier: Any, installed: str) -> bool:
    from packaging.version import InvalidVersion

    try:
        return bool(specifier.contains(installed, prereleases=True))
    except InvalidVersion:  # a version of the user's own build
        return True


def _absent(requirements: Iterable[str], versions: _Versions) -> Iterator[str]:
    for text in requirements:
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        if "extra" not in text.partition(";")[2] and not versions.of(name):
            yield f"requires {name}, which is not installed: pip install {name}"
