"""Pictures and recordings: files of their own, or inside the tar shards of a web dataset. Torch-free."""

from __future__ import annotations

import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any

from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_find import FORMS, MEDIA, Source
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.suggest import did_you_mean

#: Extensions of the members of a web dataset that hold text.
_TEXT = ("txt", "text", "caption", "transcript")


def media_records(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """One record, ``{"image": path}`` or ``{"audio": path}``, with the ``label`` that its folder gives."""
    label = {} if source.label is None else {"label": source.label}
    yield 1, {source.form: os.path.abspath(source.path), **label}


def tar_records(source: Source, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    """Samples of a web dataset: members in a row whose names agree up to the first dot.

    ``key.jpg`` becomes the field ``image`` (bytes), ``key.wav`` ``audio``, ``key.txt`` ``text``, ``key.cls`` ``label``;
    the object of ``key.json`` adds its fields; any other member is a field of bytes under its extension.

    Raises:
        DataError: no archive; or one that is damaged behind its first members, or another record that cannot be read,
            where ``bad`` says that this is fatal.
    """
    number, key, fields, last = 0, "", dict[str, Any](), ""
    try:
        with tarfile.open(source.path, "r:*") as archive:
            for member in archive:
                if not member.isfile() or os.path.basename(member.name).startswith("."):
                    continue
                folder, name = os.path.split(member.name)
                stem, _, extension = name.partition(".")
                own = os.path.join(folder, stem)
                if own != key:
                    if fields:
                        yield number, fields
                    number, key, fields = number + 1, own, {"key": own}
                data = archive.extractfile(member)
                assert data is not None
                try:
                    fields.update(_field(extension.lower(), data.read()))
                except ValueError as error:
                    message = f"{member.name} cannot be read as {extension}: {error}"
                    bad.report(DataError(message, file=source.path, line=number))
                last = member.name
            damage = _unread(archive)
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if not last:
            detail = str(error).partition(":\n")[0]  # then comes a line for each kind of compression
            raise DataError(f"not a tar archive that can be read: {detail}", file=source.path) from error
        damage = str(error) or type(error).__name__
    if damage:
        message = f"the archive is damaged or cut off behind '{last}', and what stood there is lost ({damage})"
        bad.report(DataError(message, file=source.path))
    if fields and (len(fields) > 1 or not damage):
        yield number, fields


def _unread(archive: tarfile.TarFile) -> str | None:
    """What is wrong with the end of an archive whose members were read; None if it is the end of an archive.

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


def _field(extension: str, data: bytes) -> dict[str, Any]:
    form = FORMS.get(f".{extension}")
    if form in MEDIA:
        return {str(form): data}
    if extension in _TEXT:
        return {"text": data.decode("utf-8").strip()}
    if extension == "cls":
        return {"label": data.decode("utf-8").strip()}
    if extension == "json":
        value = json.loads(data)
        if not isinstance(value, dict):
            raise ValueError("expected an object")
        return value
    return {extension: data}


def media_name(record: Record, field: str) -> str | None:
    """What a record calls its picture or recording: a path, or its name in a tar shard.

    None if nothing does, or the record's own file is meant.
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
    """The encoded picture or recording that a field of a record holds or names.

    A field is bytes, a path (relative to the file that names it), or Hugging Face's ``{"bytes": ..., "path": ...}``.

    Raises:
        DataError: there is no such field, or the file that it names is missing or empty.
    """
    value = record.value.get(field)
    if isinstance(value, str) and os.path.abspath(value) == os.path.abspath(record.file):
        return _own_bytes(record.file, field)
    if value is None:
        fields = ", ".join(record.value) or "none"
        message = f"no field '{field}'; the fields are {fields} (data.columns renames them)"
        raise DataError(message, file=record.file, line=record.line)
    if isinstance(value, dict):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if value is None:
            raise DataError(f"the {field} has neither bytes nor a path", file=record.file, line=record.line)
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
    else:
        path = os.path.join(os.path.dirname(record.file), str(value))
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            folder = os.path.dirname(path)
            names = os.listdir(folder) if os.path.isdir(folder) else []
            near = did_you_mean(os.path.basename(path), names)
            message = f"{field} '{value}' cannot be read: {error.strerror}" + (f"; {near}" if near else "")
            raise DataError(message, file=record.file, line=record.line) from None
    if not data:
        name = media_name(record, field)
        what = field if name is None else f"{field} '{name}'"
        raise DataError(f"the {what} is empty", file=record.file, line=record.line)
    return data


def _own_bytes(file: str, field: str) -> bytes:
    """The bytes of a record's own file, which has no lines to name."""
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except OSError as error:
        raise DataError(f"the {field} cannot be read: {error.strerror}", file=file) from None
    if not data:
        raise DataError(f"the {field} is empty", file=file)
    return data
