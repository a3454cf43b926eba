"""Metadata files of installed distributions, read however damaged they are; nothing is imported. Torch-free.

Installers write UTF-8 without a byte order mark. A file that is otherwise is read as far as it goes, and what is wrong
with it is data: a bystander's damage troubles nobody who does not use it.
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
        text: the content; empty where there is no such file.
        damage: what is wrong with its encoding, or empty.
    """

    text: str
    damage: str = ""


class Point(NamedTuple):
    """A line of entry_points.txt: an entry, or the beginning of a group, which has no name.

    Attributes:
        line: its number, from 1.
        damage: what is wrong with it, or empty.
    """

    group: str
    name: str
    value: str
    line: int
    damage: str = ""


def normalized(name: str) -> str:
    """A distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def raw(distribution: Any, file: str) -> bytes:
    """The bytes of a file of a distribution's metadata; empty where there is none, or it cannot be read."""
    folder = getattr(distribution, "_path", None)
    try:
        if folder is not None:
            return bytes((folder / file).read_bytes())
        return (distribution.read_text(file) or "").encode()
    except (OSError, KeyError, ValueError):
        return b""


@functools.lru_cache(maxsize=256)
def read(distribution: Any, file: str) -> Text:
    """The text of a file of a distribution's metadata."""
    return decoded(raw(distribution, file), file)


def decoded(content: bytes, file: str) -> Text:
    """A file's content as text, whatever its encoding."""
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
    """The values of a header, found without the email parser, which would cost 2 ms a file."""
    text = (read(distribution, "METADATA").text or read(distribution, "PKG-INFO").text).replace("\r\n", "\n")
    for line in text.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == name.lower():
            yield value.strip()


@functools.cache
def header(distribution: Any, name: str) -> str:
    """The header ``Name`` or ``Version``; of a distribution without it, what its folder's name says."""
    if found := next(headers(distribution, name), ""):
        return found
    # A damaged installation; the folder is called name-version.dist-info.
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
        value = value.partition("[")[0].strip()  # extras, which nothing reads any more
        right = name and equals and re.fullmatch(r"\w+(\.\w+)*(\s*:\s*\w+(\.\w+)*)?", value)
        damage = "" if right else f"{line!r} is no 'name = module:attribute'"
        yield Point(group, name, re.sub(r"\s", "", value), number, damage)
