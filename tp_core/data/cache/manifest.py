"""Manifests list a folder's files with sizes and digests, to detect damage. Torch-free.

A file with unchanged size, times and inode is not read again; its digest comes from the digest cache. Within
:func:`verifying`, every file is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.file_digests import FileDigest, Scheme, file_digests
from tp_core.errors import system_error
from tp_core.files.bounded_reads import read_json
from tp_core.files.whole_files import sync, write_whole
from tp_core.switches import switched

MANIFEST = "manifest.json"

#: Threads hash the segments of a file.
_SCHEME = Scheme(20, 1 << 26)

#: System errors for a file that is missing, is not a file, or has lost its content. Other errors, such as missing
#: permissions or too many open files, say nothing about the file.
_LOST = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EFBIG,
    errno.EIO,
}

_verifying: ContextVar[bool] = ContextVar("verifying", default=False)


def verifying(always: bool = True) -> AbstractContextManager[None]:
    """Within this context, read verified files even if they have not changed since they were last read."""
    return switched(_verifying, always or _verifying.get())


class Facts(NamedTuple):
    """A file's size in bytes, and the digest of its content in hexadecimal digits."""

    size: int
    digest: str


def facts_of(files: Iterable[Path], digest_cache: DigestCache | None = None) -> list[Facts]:
    """The facts of files.

    Args:
        digest_cache: digests of unchanged files; not used within :func:`verifying`.

    Raises:
        OSError: a file cannot be read.
    """
    return [
        _facts(found) for found in file_digests(map(str, files), _SCHEME, None if _verifying.get() else digest_cache)
    ]


def _facts(found: FileDigest) -> Facts:
    if found.error is not None:
        raise found.error
    assert found.size is not None
    return Facts(found.size, hashlib.blake2b(found.digests, digest_size=20).hexdigest())


def write_manifest(folder: Path, **more: Any) -> None:
    """Flush all files in a folder and list them in its manifest."""
    files = sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)
    for file in files:
        sync(file)
    for place, _, _ in os.walk(folder):
        sync(Path(place))
    listed = {file.relative_to(folder).as_posix(): each._asdict() for file, each in zip(files, facts_of(files))}
    write_whole(folder / MANIFEST, json.dumps({**more, "files": listed}, indent=1))


def read_manifest(path: Path) -> dict[str, Facts]:
    """The files of a manifest, by name relative to its folder.

    Raises:
        OSError: the manifest cannot be read.
        ValueError: the file is not a manifest, or names files outside its folder.
    """
    try:
        files: Mapping[str, Any] = read_json(path)["files"]
        found = {str(name): Facts(int(each["size"]), str(each["digest"])) for name, each in files.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    for name in map(PurePosixPath, found):
        if name.is_absolute() or ".." in name.parts:
            raise ValueError(f"{name} is outside the folder")
    return found


def damage(folder: Path, digest_cache: DigestCache | None = None, without: Collection[str] = ()) -> str | None:
    """The first difference between a folder and its manifest; None if all files are unchanged.

    Args:
        without: names of files that may differ.

    Raises:
        TPError: a file cannot be read now, which says nothing about its content.
    """
    try:
        expected = read_manifest(folder / MANIFEST)
    except FileNotFoundError:
        return "it has no manifest"
    except ValueError:
        return "its manifest cannot be read"
    except OSError as error:
        return f"its manifest cannot be read: {_lost(error, folder / MANIFEST)}"
    names = [name for name in expected if name not in without]
    for name in names:  # compare sizes first: quicker than reading
        if difference := _size_differs(folder, name, expected[name]):
            return difference
    return next(filter(None, (_content_differs(folder, name, expected[name], digest_cache) for name in names)), None)


def changed(folder: Path, names: Collection[str]) -> list[str]:
    """Those of the given small files that differ from the folder's manifest.

    Raises:
        TPError: as for :func:`damage`.
    """
    try:
        expected = read_manifest(folder / MANIFEST)
    except (OSError, ValueError):
        return []
    listed = [(name, expected[name]) for name in names if name in expected]
    return [
        name for name, facts in listed if _size_differs(folder, name, facts) or _content_differs(folder, name, facts)
    ]


def _size_differs(folder: Path, name: str, facts: Facts) -> str:
    try:
        found = (folder / name).stat()
    except (OSError, ValueError) as error:
        return f"{name}: {_lost(error, folder / name)}"
    if not stat.S_ISREG(found.st_mode):
        return f"{name} is no file"
    return "" if found.st_size == facts.size else f"{name} has {found.st_size} bytes instead of {facts.size}"


def _content_differs(folder: Path, name: str, facts: Facts, digest_cache: DigestCache | None = None) -> str:
    try:
        (found,) = facts_of([folder / name], digest_cache)
    except (OSError, ValueError) as error:
        return f"{name}: {_lost(error, folder / name)}"
    return "" if found.digest == facts.digest else f"the content of {name} has changed"


def _lost(error: OSError | ValueError, file: Path) -> str:
    """The reason why a file's content is lost.

    Raises:
        TPError: the content is not lost, but cannot be read now or by this user.
    """
    if isinstance(error, OSError) and error.errno not in _LOST:
        raise system_error(error, file) from error
    return getattr(error, "strerror", None) or str(error)
