"""Digests of files' contents, remembered until the files change. Torch-free."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

#: Its name in the folder of the cache.
MEMO = "digests.sqlite3"

#: Seconds since its last change after which a file is remembered. A file that was changed just now may change once more
#: without its time telling: clocks of file systems tick every few milliseconds, and every two seconds on FAT.
_SETTLED = 2.0

#: Digests are written when there are so many, and when so many seconds have passed: one transaction for all of them.
_MANY = 4096
_OFTEN = 10.0

#: Paths that one question names; SQLite allowed 999 for long.
_ASKED = 500

#: Seconds that another process may be writing.
_PATIENCE = 5.0

# A name of its own for each layout: a cache of another version of the program is neither read nor damaged.
_TABLE = """create table if not exists digests_1 (
    path blob not null, scheme text not null, state text not null, digest blob not null, primary key (path, scheme)
) without rowid"""
_FIND = "select path, state, digest from digests_1 where scheme = ? and path in ({})"
_KEEP = "insert or replace into digests_1 values (?, ?, ?, ?)"


class DigestCache:
    """Digests of files that were hashed before, by path.

    An entry is valid as long as the file has the size, times and inode that it had when it was hashed. The cache saves
    time and decides nothing: if it cannot be read or written, files are hashed. Several processes may use it at once,
    but only one thread of each process.

    Args:
        folder: the folder of the file :data:`MEMO`; both are made when there is a digest to keep.
        say: receives a line if the file is damaged.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path, self.say = folder / MEMO, say
        self._opened: sqlite3.Connection | None = None
        self._reads = self._writes = True
        self._new: list[tuple[bytes, str, str, bytes]] = []
        self._written = time.monotonic()

    def __enter__(self) -> DigestCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Also of an interrupted run, what it has hashed is kept."""
        self._write()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def find(self, files: Mapping[str, os.stat_result], scheme: str) -> dict[str, bytes]:
        """The digests of those files that have not changed since :meth:`keep`.

        Args:
            files: path → its present state.
            scheme: names how the digest was made.
        """
        names = {os.fsencode(os.path.abspath(file)): file for file in files}
        asked = list(names)
        found: dict[str, bytes] = {}
        if not self._reads or not self.path.exists():
            return found
        try:
            connection = self._connection()
            for first in range(0, len(asked), _ASKED):
                part = asked[first : first + _ASKED]
                query = _FIND.format(",".join("?" * len(part)))
                for path, state, digest in connection.execute(query, (scheme, *part)):
                    if state == _state(files[names[path]]) and isinstance(digest, bytes):
                        found[names[path]] = digest
        except Exception as error:  # of SQLite, or where a damaged file gives what is no path
            self._fail(error)
            return {}
        return found

    def keep(self, file: str, state: os.stat_result, since: float, scheme: str, digest: bytes) -> None:
        """Remember a digest, unless the file is so young that it may change once more without its time telling.

        Args:
            state: of the file before it was hashed; what changes it later changes its times.
            since: when that was, in seconds since the epoch.
        """
        young = max(state.st_mtime_ns, state.st_ctime_ns) > (since - _SETTLED) * 1e9
        if young or not self._writes or not stat.S_ISREG(state.st_mode):
            return
        self._new.append((os.fsencode(os.path.abspath(file)), scheme, _state(state), digest))
        if len(self._new) >= _MANY or time.monotonic() - self._written > _OFTEN:
            self._write()

    def _write(self) -> None:
        new, self._new = self._new, []
        if not new or not self._writes:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connection()
            connection.execute("begin immediate")
            try:
                connection.executemany(_KEEP, new)
                connection.execute("commit")
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")
        except Exception as error:
            self._fail(error, writing=True)
        self._written = time.monotonic()

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            import sqlite3  # some builds of Python have none

            self._opened = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            self._opened.execute(_TABLE)
        return self._opened

    def _fail(self, error: Exception, writing: bool = False) -> None:
        """Do without. A file that may be read and not written is read on."""
        self._writes, self._reads = False, self._reads and writing
        if isinstance(error, (ImportError, OSError)):
            return
        import sqlite3

        if not isinstance(error, sqlite3.OperationalError):  # which is of the place: permissions, space, a long lock
            self._reads = False
            self.say(f"{self.path} is damaged and not used: all data are read at each start until it is deleted")


def _state(state: os.stat_result) -> str:
    """As a text, since an inode may be larger than SQLite's integers.

    The time of the last change of the inode (ctime) tells of files whose other time was set back.
    """
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
