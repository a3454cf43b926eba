"""Fast reading of lines of text files, with exact places in errors. Torch-free.

Files are read in large blocks of whole lines. A block is decoded and split at once. Only a block that cannot be
decoded is examined line by line.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.options import STDIN
from tp_core.errors import DataError

BLOCK = 1 << 20

#: Maximum size of a line, or of a record of several lines, in bytes. A small gzip file may unpack to gigabytes.
LONGEST = 1 << 27

#: First bytes of files that are not text, and the message about each.
_SIGNATURES = {
    b"\x89PNG": "is a PNG image",
    b"\xff\xd8\xff": "is a JPEG image",
    b"GIF8": "is a GIF image",
    b"%PDF": "is a PDF document",
    b"PK\x03\x04": "is a ZIP archive; unpack it first",
    b"\x1f\x8b": "is compressed with gzip; give it a name that ends in .gz",
    b"\xfd7zXZ": "is compressed with xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it first",
    b"BZh9": "is compressed with bzip2; unpack it first",
    b"PAR1": "is a Parquet file; give it a name that ends in .parquet",
    b"ARROW1": "is an Arrow file; give it a name that ends in .arrow",
    b"\xff\xfe": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
}


def line_runs(
    source: FileSource, bad: BadRecords, damaged: dict[int, DataError] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Runs of many lines without their line ends.

    Args:
        source: a text file, which may be compressed with gzip.
        bad: receives an error for each line that is not UTF-8 text; such a line ends a run.
        damaged: for formats whose records may span several lines: receives these errors instead of ``bad``, by line
            number. The lines are then yielded as well, with U+FFFD for invalid bytes.

    Yields:
        The number of the first line (from 1) and consecutive lines from there.

    Raises:
        DataError: the file is of another kind or damaged, or ``bad`` raises for a bad line.
    """
    first = 1
    with open_binary(source) as file:
        for block in _whole_lines(file):
            if not block:
                error = DataError(f"this line has more than {LONGEST:,} bytes", file=source.path, line=first)
                if damaged is None:
                    bad.report(error)
                else:
                    damaged[first] = error
                    yield first, ["\ufffd"]
                first += 1
                continue
            count = block.count(b"\n") + (not block.endswith(b"\n"))
            text = _decode(block)
            if text is None:
                if damaged is None:
                    yield from _good_runs(block, first, source.path, bad)
                else:
                    yield first, list(_mended(block, first, source.path, damaged))
            else:
                yield first, split_lines(text)
            first += count


def split_lines(text: str) -> list[str]:
    r"""Lines that end in ``\n`` or ``\r\n``; unlike ``splitlines``, no other character ends a line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return text.removesuffix("\n").split("\n")


@contextmanager
def open_binary(source: FileSource) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked, without a byte order mark.

    Raises:
        DataError: the file cannot be read, is damaged, or its first bytes show that it is not text.
    """
    try:
        stdin = source.path == STDIN
        with open(0 if stdin else source.path, "rb", buffering=0, closefd=not stdin) as raw:
            file: Any = gzip.GzipFile(fileobj=raw) if source.compressed else raw
            buffered = io.BufferedReader(file, BLOCK)
            head = buffered.peek(8)[:8]
            for signature, meaning in _SIGNATURES.items():
                if head.startswith(signature):
                    raise DataError(f"this file {meaning}; expected text", file=source.path)
            if head.startswith(b"\xef\xbb\xbf"):
                buffered.read(3)
            yield buffered
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"this gzip file is damaged: {error}", file=source.path) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=source.path) from error


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Blocks that end at a line end, except for the last one; an empty block replaces a line that is too long."""
    rest: list[bytes] = []
    size = 0
    while block := file.read(BLOCK):
        if size > LONGEST:  # the next block continues the same line
            end = block.find(b"\n") + 1
            if not end:
                continue
            yield b""
            block, size = block[end:], 0
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, block[:cut]])
            rest, size = [], 0
        if cut < len(block):
            rest.append(block[cut:])
            size += len(block) - cut
        if size > LONGEST:
            rest.clear()
    if size > LONGEST:
        yield b""
    elif rest:
        yield b"".join(rest)


def _decode(block: bytes) -> str | None:
    if b"\0" in block:
        return None
    try:
        return block.decode()
    except UnicodeDecodeError:
        return None


def _good_runs(block: bytes, first: int, file: str, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
    run: list[str] = []
    start = first
    for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), first):
        text = _decode(line)
        if text is not None:
            run.append(text.removesuffix("\r"))
            continue
        if run:
            yield start, run
        bad.report(DataError(_problem(line), file=file, line=number))
        run, start = [], number + 1
    if run:
        yield start, run


def _mended(block: bytes, first: int, file: str, damaged: dict[int, DataError]) -> Iterator[str]:
    for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), first):
        text = _decode(line)
        if text is None:
            damaged[number] = DataError(_problem(line), file=file, line=number)
            text = line.decode(errors="replace").replace("\0", "\ufffd")
        yield text.removesuffix("\r")


def not_utf8(byte: int, column: int) -> str:
    """The message for a line with a byte that is not UTF-8."""
    convert = "convert the file, for example: iconv -f GBK -t UTF-8"
    return f"this line is not UTF-8 (byte 0x{byte:02X} at column {column}); {convert}"


def _problem(line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return not_utf8(line[error.start], len(line[: error.start].decode()) + 1)
    column = text.index("\0") + 1
    return f"this line has a NUL byte at column {column}; the file is damaged or is not text"
