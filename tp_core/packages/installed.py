"""Installed distributions: the folders of their metadata on ``sys.path``. This file uses only the standard library.

``importlib.metadata`` finds the same distributions. It imports email, socket and zipfile, which would slow down every
command, so it is used only for archives.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tp_core.packages.metadata import header, normalized

_ENDINGS = (".dist-info", ".egg-info")


class Installed:
    """An installed distribution, given by its metadata folder, or by its metadata file if distutils installed it."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path


def folders() -> list[str]:
    """``sys.path`` without missing entries (such as python311.zip), which would otherwise be opened as archives."""
    return [path for path in sys.path if os.path.exists(path or ".")]


def distributions(path: Iterable[str] | None = None, name: str = "") -> Iterator[Any]:
    """The distributions on ``path`` (default: ``sys.path``) in its order, sorted within a folder.

    Args:
        name: name of one distribution; empty for all.
    """
    wanted = normalized(name)
    for place in folders() if path is None else path:
        if os.path.isfile(place):
            import importlib.metadata

            yield from importlib.metadata.distributions(path=[place], name=name or None)
            continue
        for found in metadata_folders(place):
            if not wanted or _name(found.rpartition(".")[0]) == wanted:
                yield Installed(Path(place, found))
        if place.endswith(".egg") and (not wanted or _name(os.path.basename(place)) == wanted):
            yield Installed(Path(place, "EGG-INFO"))


def name_of(distribution: Any) -> str:
    """The normalised name of a distribution, from the name of its folder."""
    folder = distribution._path
    return _name(folder.parent.name if folder.name == "EGG-INFO" else folder.name.rpartition(".")[0])


def installed_version(distribution: str) -> str:
    """The version of a distribution; empty if it is not installed."""
    return next((header(each, "Version") for each in distributions(name=distribution)), "")


def metadata_folders(place: str) -> list[str]:
    """The names of the metadata folders in a folder, sorted; empty if the folder cannot be read."""
    try:
        return sorted(each for each in os.listdir(place or ".") if each.endswith(_ENDINGS))
    except OSError:
        return []


def _name(folder: str) -> str:
    return normalized(folder.partition("-")[0])
