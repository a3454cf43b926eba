"""Pictures and recordings, as files that are one record each, and in fields of records. Torch-free."""

from __future__ import annotations

import os

from tp_core.data.fields import missing_field
from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import NewColumns
from tp_core.data.sources.file import RowFile, Rows, renamed
from tp_core.errors import DataError
from tp_core.files.bounded_reads import read_bounded
from tp_core.interfaces.record import Record
from tp_core.suggest import did_you_mean

#: Maximum size of a picture or recording in bytes, as it is held in memory as a whole.
LARGEST_FILE = 1 << 31


class MediaFile(RowFile):
    """A picture or recording: one record such as ``{"image": path}``, with a ``label`` from its folder."""

    unpacked = False
    names_files = False

    def rows(self, reading: Reading) -> Rows:
        label = {} if self.label is None else {"label": self.label}
        rows = iter([(1, {self.form: os.path.abspath(self.path), **label})])
        return renamed(rows, self.path, reading._replace(columns=NewColumns(reading.columns, reading.columns)))


def media_name(record: Record, field: str) -> str | None:
    """The name of a record's picture or recording: a path, or a member's name in a tar shard.

    None if the record has no such name, or if it is the record's own file.
    """
    value = record.value.get(field)
    if isinstance(value, dict):
        value = value.get("path")
    elif value is not None and not isinstance(value, str):
        value = record.value.get("key")
    if not isinstance(value, str) or os.path.abspath(value) == os.path.abspath(record.file):
        return None
    return value


def media_bytes(record: Record, field: str) -> bytes:
    """The encoded picture or recording in a field of a record.

    A field is bytes, a path (relative to the record's file), or Hugging Face's ``{"bytes": ..., "path": ...}``.

    Raises:
        DataError: there is no such field, or its file is missing, empty, not a regular file, or larger than
            :data:`LARGEST_FILE`.
    """
    value = record.value.get(field)
    if isinstance(value, str) and os.path.abspath(value) == os.path.abspath(record.file):
        return _own_bytes(record.file, field)
    if value is None:
        raise missing_field(record, f"'{field}'")
    if isinstance(value, dict):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if value is None:
            raise DataError(f"the {field} has neither bytes nor a path", file=record.file, line=record.line)
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
    else:
        path = os.path.join(os.path.dirname(record.file), str(value))
        try:
            data = read_bounded(path, LARGEST_FILE)
        except OSError as error:
            folder = os.path.dirname(path)
            names = os.listdir(folder) if isinstance(error, FileNotFoundError) and os.path.isdir(folder) else []
            near = did_you_mean(os.path.basename(path), names)
            message = f"{field} '{value}' cannot be read: {error.strerror}" + (f"; {near}" if near else "")
            raise DataError(message, file=record.file, line=record.line) from None
    if not data:
        name = media_name(record, field)
        what = field if name is None else f"{field} '{name}'"
        raise DataError(f"the {what} is empty", file=record.file, line=record.line)
    return data


def _own_bytes(file: str, field: str) -> bytes:
    """The bytes of a record's own file. Messages about it have no line number."""
    try:
        data = read_bounded(file, LARGEST_FILE)
    except OSError as error:
        raise DataError(f"the {field} cannot be read: {error.strerror}", file=file) from None
    if not data:
        raise DataError(f"the {field} is empty", file=file)
    return data
