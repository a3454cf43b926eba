"""Tolerant reading of the metadata files of installed distributions; nothing is imported. Torch-free.

Installers write UTF-8 without a byte order mark. Other files are read as far as possible. Their damage is returned as a
value, so that a damaged distribution does not affect users who do not need it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Text(NamedTuple):
    """The content of a file of metadata.

    Attributes:
        text: the content; empty if the file does not exist.
        damage: the fault in its encoding, or empty.
    """

    text: str
    damage: str = ""


class Point(NamedTuple):
    """A line of entry_points.txt: an entry point, or the header of a group, which has no name.

    Attributes:
        line: line number, from 1.
        damage: the fault in the line, or empty.
    """

    group: str
    name: str
    value: str
    line: int
    damage: str = ""


def normalized(name: str) -> str:
    """A distribution's name in the normalised form of the packaging standards."""
    return re.sub(r"[-_.]+", "-", name).lower()


def raw(distribution: Any, file: str) -> bytes:
    """The bytes of a metadata file; empty if it does not exist or cannot be read."""
    folder = getattr(distribution, "_path", None)
    try:
        if folder is not None:
            return bytes((folder / file).read_bytes())
        return (distribution.read_text(file) or "").encode()
    except (OSError, KeyError, ValueError):
        return b""


@functools.lru_cache(maxsize=256)
def read(distribution: Any, file: str) -> Text:
    """The text of a metadata file."""
    return decoded(raw(distribution, file), file)


def decoded(content: bytes, file: str) -> Text:
    """A file's content as text, from any encoding."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            text = content.decode(encoding, "replace").removeprefix("\ufeff")
            return Text(text, f"{file} begins with a byte order mark ({encoding.upper()}); expected UTF-8 without one")
    try:
        return Text(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        return Text(content.decode("latin-1"), f"{file} is not UTF-8: line {line} has the byte 0x{byte:02x}")


def headers(distribution: Any, name: str) -> Iterator[str]:
    """The values of a header, found without the email parser, which would take 2 ms per file."""
    text = (read(distribution, "METADATA").text or read(distribution, "PKG-INFO").text).replace("\r\n", "\n")
    for line in text.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == name.lower():
            yield value.strip()


@functools.cache
def header(distribution: Any, name: str) -> str:
    """The header ``Name`` or ``Version``; without this header, the value from the folder's name."""
    if found := next(headers(distribution, name), ""):
        return found
    # The installation is damaged; the folder's name is name-version.dist-info.
    bare, _, version = folder_name(distribution).partition("-")
    return (bare.replace("_", "-") if name == "Name" else version) or "unknown"


def folder_name(distribution: Any) -> str:
    """The name of a distribution's folder without its ending."""
    return Path(str(getattr(distribution, "_path", ""))).stem


def points(text: str) -> Iterator[Point]:
    """The groups and entry points of an entry_points.txt, and the lines that are neither."""
    group = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            closed = re.fullmatch(r"\[([^\[\]]*)\]", line)
            group = closed[1].strip() if closed else line.strip("[]\x00 ")
            yield Point(group, "", "", number, "" if closed else f"{line!r} is no [group]")
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        value = value.partition("[")[0].strip()  # remove extras, which are obsolete
        right = name and equals and re.fullmatch(r"\w+(\.\w+)*(\s*:\s*\w+(\.\w+)*)?", value)
        damage = "" if right else f"{line!r} is no 'name = module:attribute'"
        yield Point(group, name, re.sub(r"\s", "", value), number, damage)
