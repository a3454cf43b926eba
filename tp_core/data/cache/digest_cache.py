"""A cache of the digests of files, which are valid until the files change. Torch-free."""

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

#: Name of the file in the cache folder.
MEMO = "digests.sqlite3"

#: Minimum age of a file's last change, in seconds, before its digest is stored. A file that was just changed may change
#: again without a new time: clocks of file systems tick every few milliseconds, and every two seconds on FAT.
_SETTLED = 2.0

#: Digests are written in one transaction when there are this many, or after this many seconds.
_MANY = 4096
_OFTEN = 10.0

#: Number of paths in one query; older versions of SQLite allow 999 parameters.
_ASKED = 500

#: Maximum time in seconds to wait for another process that is writing.
_PATIENCE = 5.0

# Each layout has its own table name, so that the cache of another version of the program is neither read nor damaged.
_TABLE = """create table if not exists digests_1 (
    path blob not null, scheme text not null, state text not null, digest blob not null, primary key (path, scheme)
) without rowid"""
_FIND = "select path, state, digest from digests_1 where scheme = ? and path in ({})"
_KEEP = "insert or replace into digests_1 values (?, ?, ?, ?)"


class DigestCache:
    """Digests of files that were hashed before, by path.

    An entry is valid as long as the file has the size, times and inode that it had when it was hashed. The cache only
    saves time: if it cannot be read or written, files are hashed. Several processes may use it at once, but only one
    thread of each process.

    Args:
        folder: the folder of the file :data:`MEMO`; both are created with the first stored digest.
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
        """Write the digests, also those of an interrupted run."""
        self._write()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def find(self, files: Mapping[str, os.stat_result], scheme: str) -> dict[str, bytes]:
        """The digests of those files that have not changed since :meth:`keep`.

        Args:
            files: path → its present state.
            scheme: name of the method that made the digest.
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
        except Exception as error:  # an error of SQLite, or an invalid path from a damaged file
            self._fail(error)
            return {}
        return found

    def keep(self, file: str, state: os.stat_result, since: float, scheme: str, digest: bytes) -> None:
        """Store a digest, unless the file was changed so recently that it may change again without a new time.

        Args:
            state: state of the file before it was hashed. A later change of the file changes its times.
            since: time of that state, in seconds since the epoch.
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
        """Stop using the cache after an error. If only writing has failed, reading goes on."""
        self._writes, self._reads = False, self._reads and writing
        if isinstance(error, (ImportError, OSError)):
            return
        import sqlite3

        if not isinstance(
            error, sqlite3.OperationalError
        ):  # an OperationalError is about the environment: permissions, disk space, a long lock
            self._reads = False
            self.say(f"{self.path} is damaged and not used: all data are read at each start until it is deleted")


def _state(state: os.stat_result) -> str:
    """The state of a file as text, since an inode number may be larger than SQLite's integers.

    The change time of the inode (ctime) reveals a change even if the file's modification time was set back.
    """
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
