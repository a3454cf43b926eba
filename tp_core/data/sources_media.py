"""Pictures and recordings: files of their own, or inside the tar shards of a web dataset. Torch-free."""

from __future__ import annotations

import json
import os
import tarfile
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
        DataError: a damaged archive.
    """
    number, key, fields = 0, "", dict[str, Any]()
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
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"not a tar archive that can be read: {error}", file=source.path) from error
    if fields:
        yield number, fields


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
