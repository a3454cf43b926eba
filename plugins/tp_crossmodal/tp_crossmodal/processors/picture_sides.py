"""Pictures and their texts, between which ``tp retrieve`` searches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tp_core.data.fields import missing_field, text_field
from tp_core.data.sources.options import form_of
from tp_core.errors import TPError
from tp_core.interfaces import Item, Record, Sides

_IMAGE, _TEXT = 0, 1


class PictureSides(Sides):
    """Pictures, or features of their regions, and texts.

    A picture is known by the path of its file, by its bytes, or by the features of its regions. The field ``text`` has
    a text or a list of texts. Blank texts do not count.

    Args:
        field: the field of pictures or regions.
        content: the fields that identify a picture.
        image_stream: the stream that reads pictures.
        text_stream: the stream that reads texts.
    """

    names = ("image", "text")
    prompted = (False, True)

    def __init__(self, field: str, content: Sequence[str], image_stream: str, text_stream: str) -> None:
        self.streams = (image_stream, text_stream)
        self._field, self._content = field, content

    def items(self, record: Record, side: int) -> list[Item]:
        if side == _TEXT:
            return [Item(text, text, Record({"text": text}, record.file, record.line)) for text in _texts(record)]
        if record.value.get(self._field) in (None, ""):
            raise missing_field(record, f"'{self._field}'")
        alone = {name: value for name, value in record.value.items() if name != "text"}
        return [Item(identity(record, self._content), _name(record), Record(alone, record.file, record.line))]

    def query(self, text: str, option: str) -> Record:
        if not text.strip():
            raise TPError("the query is empty; expected a text, or the file of a picture")
        if is_file(text):
            file = os.path.abspath(text)
            return Record({self._field: file}, file, 1)
        if form_of(text) == "image" and " " not in text:
            raise TPError(f"{option} {text}: there is no such file")
        return Record({"text": text}, option, 1)

    def side_of(self, query: Record) -> int:
        return _TEXT if query.value.get(self._field) in (None, "") else _IMAGE

    def nothing(self, side: int) -> str:
        if side == _IMAGE:
            return super().nothing(side)
        why = "the query is a picture, which needs texts to search in"
        return f"{why}, but the data has no texts (the field text)"


def identity(record: Record, content: Sequence[str]) -> bytes | None:
    """A hash that identifies a picture by the path of its file or by its content; None if the record has neither."""
    digest = hashlib.blake2b(digest_size=16)
    for field in content:
        value = record.value.get(field)
        if isinstance(value, Mapping):
            value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if isinstance(value, str) and value:
            known = os.fsencode(os.path.realpath(os.path.join(os.path.dirname(record.file), value)))
        elif isinstance(value, (bytes, bytearray)):
            known = bytes(value)
        elif isinstance(value, (list, tuple, np.ndarray)):
            try:
                numbers = np.asarray(value, dtype=np.float64)
            except (TypeError, ValueError):
                return None
            known = f"{numbers.shape}".encode() + numbers.tobytes()
        else:
            return None
        digest.update(f"{type(value).__name__} {len(known)} ".encode() + known)
    return digest.digest()


def _texts(record: Record) -> list[str]:
    """The different texts of a record, which are one text or a list of texts. Blank texts are left out.

    Raises:
        DataError: the field contains something else.
    """
    value = record.value.get("text")
    many = value if isinstance(value, (list, tuple)) else [value]
    found = [text_field(Record({"text": each}, record.file, record.line), "text") for each in many]
    return list(dict.fromkeys(text for text in found if text is not None and text.strip()))


def _name(record: Record) -> str:
    value = record.value.get("image")
    return value if isinstance(value, str) else f"{record.file}:{record.line}"


def is_file(query: str) -> bool:
    """True if a query is the path of an existing file."""
    try:
        return Path(query).is_file()
    except OSError:  # the query is too long for a file name
        return False
