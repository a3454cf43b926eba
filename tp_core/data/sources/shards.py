"""Samples of web datasets, which are tar archives whose members are grouped by their names. Torch-free."""

from __future__ import annotations

import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import MOST_COLUMNS
from tp_core.data.sources.file import RowFile, Rows, renamed
from tp_core.data.sources.folder_rules import FolderRules
from tp_core.data.sources.lines import LONGEST
from tp_core.data.sources.media import LARGEST_FILE
from tp_core.data.sources.options import FORMS, MEDIA
from tp_core.data.sources.passed_over import PassedOver, ending
from tp_core.errors import DataError

#: Extensions of text members.
_TEXT = ("txt", "text", "caption", "transcript")

#: Extensions of document members. For a processor of texts, a sample with only such members is skipped.
_DOCUMENTS = ("md", "rst", "html", "htm", "pdf", "db", "ini")


class TarShard(RowFile):
    """Samples of a web dataset. Consecutive members whose names agree up to the first dot form a sample.

    ``key.jpg`` becomes the field ``image`` (bytes), ``key.wav`` ``audio``, ``key.txt`` ``text``, ``key.cls`` ``label``.
    Any other member becomes a field of bytes named by its extension, as does a member whose extension is in
    ``data.columns``. The object in ``key.json`` adds further fields, but no paths of pictures or recordings, since
    these must be members and not files of the machine. Members without an extension, hidden members and reserved names
    of webdataset (``__name__``) are ignored. A sample without any of the media fields is skipped.
    """

    unpacked = False  # the archive's reader unpacks the file
    names_files = False

    def rows(self, reading: Reading) -> Rows:
        return renamed(self._samples(reading), self.path, reading)

    def _samples(self, reading: Reading) -> Rows:
        """The samples, numbered from 1.

        Raises:
            DataError: the file is not an archive; or, if bad records are fatal, the archive is damaged after its first
                members, or a sample cannot be read or has a member twice.
        """
        rules, bad, passed = reading.rules, reading.bad, reading.passed
        number, sample, last = 0, _Sample("", rules), ""
        seen: set[str] = set()
        try:
            with tarfile.open(self.path, "r:*") as archive:
                for member in archive:
                    if _is_hidden(member.name) or member.isdir():
                        continue
                    if not member.isfile():
                        passed.add(self.path, {"links and devices": 1})
                        continue
                    folder, name = os.path.split(member.name)
                    stem, dot, extension = name.partition(".")
                    if not dot:
                        passed.add(self.path, {ending(name): 1})
                        continue
                    own = os.path.join(folder, stem)
                    if own != sample.key:
                        yield from sample.given(self.path, number, bad, passed)
                        number, sample = number + 1, _Sample(own, rules)
                    if member.name in seen:
                        sample.refuse(f"{member.name} is there twice")
                    elif member.size > (most := sample.room(extension.lower())):
                        sample.refuse(f"{member.name} has {member.size:,} bytes; at most {most:,} are read")
                    else:
                        data = archive.extractfile(member)
                        assert data is not None
                        sample.add(member.name, extension.lower(), data.read())
                    seen.add(member.name)
                    last = member.name
                damage = _unread(archive)
        except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            if not last:
                detail = str(error).partition(":\n")[
                    0
                ]  # the message continues with a line for each kind of compression
                raise DataError(f"not a tar archive that can be read: {detail}", file=self.path) from error
            damage = str(error) or type(error).__name__
        if damage:
            message = f"the archive is damaged or truncated after '{last}'; the rest is lost ({damage})"
            bad.report(DataError(message, file=self.path))
        if sample.members or not damage:
            yield from sample.given(self.path, number, bad, passed)


def _is_hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or (part.startswith("__") and part.endswith("__")) for part in parts)


def _unread(archive: tarfile.TarFile) -> str | None:
    """The fault at the position where reading an archive has stopped; None if it is a proper end.

    The tarfile module treats everything that is not a member as the end, also a damaged header.
    """
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    end = file.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE:
        return "it ends without the end mark of archives"
    while end:
        if end.strip(b"\0"):
            return "there is no valid member header where one is expected"
        end = file.read(1 << 20)
    return None


class _Sample:
    """The members of one key.

    Attributes:
        key: folder and name up to the first dot.
        members: field → name of its member.
    """

    def __init__(self, key: str, rules: FolderRules) -> None:
        self.key, self.members = key, dict[str, str]()
        self._rules, self._problem, self._size = rules, "", 0
        self._fields: dict[str, Any] = {}
        self._more: dict[str, Any] = {}  # fields of the JSON member

    def refuse(self, problem: str) -> None:
        """Mark the sample as unusable; the first reason is kept."""
        self._problem = self._problem or problem

    def room(self, extension: str) -> int:
        """The maximum size in bytes of a further member, given the present members."""
        own = LONGEST if extension in (*_TEXT, "json", "cls") else LARGEST_FILE
        return min(own, LARGEST_FILE - self._size)

    def add(self, name: str, extension: str, data: bytes) -> None:
        """Add a member."""
        self._size += len(data)
        try:
            if extension == "json" and extension not in self._rules.columns.values():
                field, self._more = extension, _object(data)
            else:
                field, value = _field(extension, data, extension in self._rules.columns.values())
                self._fields.setdefault(field, value)
        except ValueError as error:
            self.refuse(f"{name} cannot be read as {extension}: {error}")
            return
        if field in self.members:
            both = f"{self.members[field]} and {name} are both the field '{field}'"
            self.refuse(f"{both}; data.columns says which one is, as in {field}: {extension}")
        self.members[field] = name

    def given(
        self, file: str, number: int, bad: BadRecords, passed: PassedOver
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The record of the sample, if it has one."""
        if self._problem:
            bad.report(DataError(self._problem, file=file, line=number))
        elif self.members:
            rules = self._rules
            media = frozenset(MEDIA) if rules.media is None else rules.media | rules.media_columns
            # Lists hold numbers, such as regions of a picture; only a text or an object may name a file.
            more = {name: value for name, value in self._more.items() if name not in media or isinstance(value, list)}
            record = {**more, **self._fields, "key": self.key}
            if self._is_read(record):
                yield number, record
            else:
                for name in self.members.values():
                    passed.add(file, {_kind(name): 1})

    def _is_read(self, record: dict[str, Any]) -> bool:
        if self._rules.media and self._rules.needs_media:
            return any(record.get(name) is not None for name in self._rules.media | self._rules.media_columns)
        return self._rules.media is None or any(name not in _DOCUMENTS for name in self.members)


def _kind(name: str) -> str:
    """The kind of a skipped member, for counts."""
    several = os.path.basename(name).count(".") > 1 and FORMS.get(ending(name)) in MEDIA
    return f"{ending(name)} of names with several dots (the ending begins at the first)" if several else ending(name)


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    if len(value) > MOST_COLUMNS:
        raise ValueError(f"the object has {len(value):,} fields; at most {MOST_COLUMNS:,} are read")
    return value


def _field(extension: str, data: bytes, named: bool) -> tuple[str, Any]:
    """The field name and the value of a member.

    Args:
        named: True if ``data.columns`` names the extension; the field then has the extension's name.
    """
    form = FORMS.get(f".{extension}")
    if form in MEDIA:
        return extension if named else str(form), data
    if extension in _TEXT:
        return extension if named else "text", data.decode("utf-8-sig").strip()
    if extension == "cls":
        return extension if named else "label", data.decode("utf-8-sig").strip()
    return extension, data
