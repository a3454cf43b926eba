"""Samples of web datasets: tar archives whose members belong together by their names. Torch-free."""

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

#: Extensions of members that hold text.
_TEXT = ("txt", "text", "caption", "transcript")

#: Extensions of members that are no part of a sample of texts, if a sample has nothing else.
_DOCUMENTS = ("md", "rst", "html", "htm", "pdf", "db", "ini")


class TarShard(RowFile):
    """Samples of a web dataset: members in a row whose names agree up to the first dot.

    ``key.jpg`` becomes the field ``image`` (bytes), ``key.wav`` ``audio``, ``key.txt`` ``text``, ``key.cls`` ``label``;
    any other member is a field of bytes under its extension, and so is one whose extension ``data.columns`` names. The
    object of ``key.json`` adds the fields that no member gives, but no path of a picture or recording: these are
    members, and not files of the machine. Members without an extension, hidden ones and those that webdataset keeps for
    itself (``__name__``) are no part of a sample. One that has none of the media fields is passed over.
    """

    unpacked = False  # the archive's reader does it
    names_files = False

    def rows(self, reading: Reading) -> Rows:
        return renamed(self._samples(reading), self.path, reading)

    def _samples(self, reading: Reading) -> Rows:
        """The samples, numbered from 1.

        Raises:
            DataError: no archive; or one that is damaged behind its first members, or a sample that cannot be read, or
                has a member twice, where bad records are fatal.
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
                detail = str(error).partition(":\n")[0]  # then comes a line for each kind of compression
                raise DataError(f"not a tar archive that can be read: {detail}", file=self.path) from error
            damage = str(error) or type(error).__name__
        if damage:
            message = f"the archive is damaged or cut off behind '{last}', and what stood there is lost ({damage})"
            bad.report(DataError(message, file=self.path))
        if sample.members or not damage:
            yield from sample.given(self.path, number, bad, passed)


def _is_hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or (part.startswith("__") and part.endswith("__")) for part in parts)


def _unread(archive: tarfile.TarFile) -> str | None:
    """The fault at the end of an archive whose members were read; None if it is the end of an archive.

    The module takes anything that is no member for the end, a damaged header among them.
    """
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    end = file.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE:
        return "it ends without the mark that archives end with"
    while end:
        if end.strip(b"\0"):
            return "no member begins where one should"
        end = file.read(1 << 20)
    return None


class _Sample:
    """The members of one key.

    Attributes:
        key: folder and name up to the first dot.
        members: the name of the member that each field comes from.
    """

    def __init__(self, key: str, rules: FolderRules) -> None:
        self.key, self.members = key, dict[str, str]()
        self._rules, self._problem, self._size = rules, "", 0
        self._fields: dict[str, Any] = {}
        self._more: dict[str, Any] = {}  # of JSON

    def refuse(self, problem: str) -> None:
        """Say why the sample cannot be used; the first reason counts."""
        self._problem = self._problem or problem

    def room(self, extension: str) -> int:
        """The most bytes that a member may have, beside those that are there."""
        own = LONGEST if extension in (*_TEXT, "json", "cls") else LARGEST_FILE
        return min(own, LARGEST_FILE - self._size)

    def add(self, name: str, extension: str, data: bytes) -> None:
        """Read a member."""
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
        """The record, if it is one."""
        if self._problem:
            bad.report(DataError(self._problem, file=file, line=number))
        elif self.members:
            rules = self._rules
            media = frozenset(MEDIA) if rules.media is None else rules.media | rules.media_columns
            # Lists are numbers, as of regions of a picture; a text or an object may name a file.
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
    """The kind of a member that is passed over, for counts."""
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
    """The field that a member is, and its value.

    Args:
        named: the field is called as the extension, as ``data.columns`` names it.
    """
    form = FORMS.get(f".{extension}")
    if form in MEDIA:
        return extension if named else str(form), data
    if extension in _TEXT:
        return extension if named else "text", data.decode("utf-8-sig").strip()
    if extension == "cls":
        return extension if named else "label", data.decode("utf-8-sig").strip()
    return extension, data
