"""Digests of the contents of many files; with a digest cache, only files that changed are hashed. Torch-free."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.ordered_parallel_map import ordered_parallel_map
from tp_core.errors import naming
from tp_core.files.bounded_reads import kind_of
from tp_core.options.marks import NamedFile

#: Minimum and maximum size of a read buffer in bytes. Within these bounds, the buffer is as large as the file.
_READ, _LEAST = 1 << 20, 1 << 12

#: Number of files in one query to the digest cache.
_TOGETHER = 1024


@dataclass(frozen=True)
class Scheme:
    """A way to hash a file with BLAKE2b.

    Attributes:
        size: bytes of a digest.
        segment: size in bytes of segments that are hashed separately, so that threads share a file; None if the file is
            hashed as a whole.
    """

    size: int
    segment: int | None = None

    @property
    def name(self) -> str:
        return f"blake2b-{self.size}" + ("" if self.segment is None else f"/{self.segment}")

    def starts(self, length: int) -> range:
        """The offsets at which the segments of a file of ``length`` bytes begin."""
        return range(1) if self.segment is None else range(0, length, self.segment)


#: ValueError is raised for a name with a null character.
_Unreadable = OSError | ValueError


class FileDigest(NamedTuple):
    """The size and the digests of a file, as far as the file can be read.

    Attributes:
        size: in bytes; None if there is no such file.
        digests: the digests of its segments, concatenated.
        error: the reason why the file, or the rest of it, cannot be read.
    """

    size: int | None
    digests: bytes
    error: _Unreadable | None = None


def file_digests(files: Iterable[str], scheme: Scheme, digest_cache: DigestCache | None = None) -> Iterator[FileDigest]:
    """The digests of files, in order. The result is the same with and without a digest cache.

    Args:
        digest_cache: provides digests of unchanged files, and stores new digests.
    """
    source = iter(files)
    while batch := list(islice(source, _TOGETHER)):
        yield from _batch(batch, scheme, digest_cache)


def _batch(files: list[str], scheme: Scheme, digest_cache: DigestCache | None) -> Iterator[FileDigest]:
    since = time.time()
    states = list(ordered_parallel_map(_state, files))
    known: dict[str, bytes] = {}
    if digest_cache is not None:
        present = {file: state for file, state in zip(files, states) if isinstance(state, os.stat_result)}
        for file, digests in digest_cache.find(present, scheme.name).items():
            if len(digests) == scheme.size * len(scheme.starts(present[file].st_size)):
                known[file] = digests
    tasks = (
        (file, start, state.st_size, scheme)
        for file, state in zip(files, states)
        if isinstance(state, os.stat_result) and file not in known
        for start in scheme.starts(state.st_size)
    )
    with closing(ordered_parallel_map(_hashed, tasks)) as hashed:
        for file, state in zip(files, states):
            if not isinstance(state, os.stat_result):
                yield FileDigest(None, b"", state)
            elif file in known:
                yield FileDigest(state.st_size, known[file])
            else:
                digests, error = _joined([next(hashed) for _ in scheme.starts(state.st_size)])
                if digest_cache is not None and error is None:
                    digest_cache.keep(file, state, since, scheme.name, digests)
                yield FileDigest(state.st_size, digests, error)


def _joined(parts: list[bytes | _Unreadable]) -> tuple[bytes, _Unreadable | None]:
    """The digests of a file's readable first segments, and the error of the next segment, if any."""
    digests = b""
    for part in parts:
        if not isinstance(part, bytes):
            return digests, part
        digests += part
    return digests, None


def _state(file: str) -> os.stat_result | _Unreadable:
    try:
        state = os.stat(file)
    except (OSError, ValueError) as error:
        return error
    if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):
        return state
    return OSError(
        errno.EINVAL, f"this is {kind_of(state.st_mode)}; expected a file, which is read more than once", file
    )


def _hashed(task: tuple[str, int, int, Scheme]) -> bytes | _Unreadable:
    file, start, length, scheme = task
    hashed = hashlib.blake2b(digest_size=scheme.size)
    left = scheme.segment
    buffer = memoryview(bytearray(min(_READ, max(_LEAST, length - start))))
    try:
        with naming(file), open(file, "rb", buffering=0) as raw:
            raw.seek(start)
            while left != 0:
                count = raw.readinto(buffer if left is None else buffer[:left])
                if not count:
                    break
                hashed.update(buffer[:count])
                left = None if left is None else left - count
    except (OSError, ValueError) as error:
        return error
    return hashed.digest()


def files_inside(path: str) -> Iterator[tuple[str, str]]:
    """A file, or the sorted files of a folder, each with its path inside or its role (:class:`NamedFile`), else "".

    Hidden files and folders, such as those of version control, are left out.
    """
    if isinstance(path, NamedFile) or not os.path.isdir(path):
        yield str(path), path.inside if isinstance(path, NamedFile) else ""
        return
    seen: set[str] = set()
    for folder, below, files in os.walk(path, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link to a folder that was visited before
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__pycache__")
        for name in sorted(files):
            if not name.startswith("."):
                file = os.path.join(folder, name)
                yield file, os.path.relpath(file, path).replace(os.sep, "/")
