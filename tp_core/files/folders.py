"""Walk through a folder that visits each subfolder once, even with links. Torch-free."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The kind of a folder's entry that the walk does not enter."""

    FILE = "file"  #: also a broken link
    CLOSED = "folders that are one thing"
    AGAIN = "links to folders that are read already"
    OTHER = "pipes, sockets and devices"


class Found(NamedTuple):
    """An entry in a folder or below.

    Attributes:
        folder: path of its folder relative to the start of the walk, with ``/``; empty for the start itself.
        name: name in that folder.
        path: path of the entry.
        kind: kind of the entry.
    """

    folder: str
    name: str
    path: str
    kind: Kind


@dataclass
class Folder:
    """A folder and its entries.

    Attributes:
        path: path of the folder.
        inside: path relative to the start of the walk, with ``/``; empty for the start itself.
        names: names of all entries without hidden ones, sorted.
        folders: the subfolders that were entered, by name.
        kinds: the kinds of the other entries, without files.
        closed: True if the folder was not entered.
    """

    path: str
    inside: str = ""
    names: list[str] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    closed: bool = False

    def files(self) -> Iterator[Found]:
        """All entries inside and below except the entered folders, in the order of names."""
        begun = [(self, iter(self.names))]
        while begun:
            folder, names = begun[-1]
            inside, begin, kinds, folders = folder.inside, folder.joined(""), folder.kinds, folder.folders
            for name in names:
                if name not in folders:
                    yield Found(inside, name, begin + name, kinds.get(name, Kind.FILE))
                elif folders[name].closed:
                    yield Found(inside, name, begin + name, Kind.CLOSED)
                else:
                    begun.append((folders[name], iter(folders[name].names)))
                    break
            else:
                begun.pop()

    def all(self) -> Iterator[Folder]:
        """The folder and all folders below; each folder comes before its subfolders."""
        left = [self]
        while left:
            folder = left.pop()
            yield folder
            left += [folder.folders[name] for name in reversed(folder.names) if name in folder.folders]

    def joined(self, name: str) -> str:
        """The path of an entry; only the name if the folder's path is ``""``."""
        return os.path.join(self.path, name) if self.path else name


def tree(path: str, closed: Callable[[str, Collection[str]], bool] = lambda path, names: False) -> Folder:
    """A folder with everything below it.

    Names that begin with a dot are hidden. Links to folders are followed, but each folder is entered only once: under
    its own name if that is inside, else through the first link. Parents of the given folder are not entered through
    links.

    Args:
        closed: a function of a folder's path and names; True if the folder must not be entered.

    Raises:
        OSError: a folder cannot be read.
    """
    root = Folder(path)
    seen = _around(path or ".")
    links: list[tuple[Folder, str]] = []
    _fill(root, seen, links, closed)
    while links:
        turn, links = sorted(links, key=lambda link: (link[0].inside.split("/"), link[1])), []
        for folder, name in turn:
            if (identity := _identity(folder.joined(name))) in seen:
                folder.kinds[name] = Kind.AGAIN
                continue
            seen.add(identity)
            _fill(_below(folder, name), seen, links, closed)
    return root


def _around(path: str) -> set[tuple[int, int]]:
    """The identities of a folder and of its parents."""
    real, found = os.path.realpath(path), {_identity(path)}
    while (above := os.path.dirname(real)) != real:
        real = above
        found.add(_identity(real))
    return found


def _identity(path: str) -> tuple[int, int]:
    state = os.stat(path)
    return state.st_dev, state.st_ino


def _below(folder: Folder, name: str) -> Folder:
    inside = f"{folder.inside}/{name}" if folder.inside else name
    folder.folders[name] = Folder(folder.joined(name), inside)
    return folder.folders[name]


def _fill(
    root: Folder,
    seen: set[tuple[int, int]],
    links: list[tuple[Folder, str]],
    closed: Callable[[str, Collection[str]], bool],
) -> None:
    """Enter a folder and its subfolders that are not links; links are collected for later."""
    left = [root]
    while left:
        folder = left.pop()
        # scandir knows the kinds of most entries, which saves a system call per file.
        with os.scandir(folder.path or ".") as entries:
            every = [entry for entry in entries if entry.name[0] != "."]
        names = [entry.name for entry in every]
        folder.closed = closed(folder.path, names)
        if folder.closed:
            continue
        folder.names = sorted(names)
        for entry in every:
            if entry.is_file(follow_symlinks=False):
                continue
            name = entry.name
            if entry.is_symlink():
                kind = _target(folder.joined(name))
                if kind is None:
                    links.append((folder, name))
                elif kind is not Kind.FILE:
                    folder.kinds[name] = kind
            elif not entry.is_dir(follow_symlinks=False):
                folder.kinds[name] = Kind.OTHER
            elif (identity := _identity(folder.joined(name))) in seen:
                folder.kinds[name] = Kind.AGAIN
            else:
                seen.add(identity)
                left.append(_below(folder, name))


def _target(link: str) -> Kind | None:
    """The kind of a link's target; None if it is a folder."""
    try:
        mode = os.stat(link).st_mode
    except OSError:
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return None
    return Kind.FILE if stat.S_ISREG(mode) else Kind.OTHER
