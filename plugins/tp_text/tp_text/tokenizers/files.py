"""Readers of tokenizer files, with errors that name file and line. Needs no tokenizer library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tp_core.errors import DataError
from tp_core.files.bounded_reads import MOST_JSON, read_bounded

#: Upper limit of ids, about ten times the size of the largest vocabularies. It protects against huge embedding tables:
#: a model has a row for each id, used or not.
MOST_IDS = 2**24


def size_of(ids: Iterable[int]) -> int:
    """Size of a vocabulary: the largest id plus one.

    Raises:
        DataError: an id is not below :data:`MOST_IDS`.
    """
    size = max(ids) + 1
    if size > MOST_IDS:
        raise DataError(f"the vocabulary has the id {size - 1}; ids must be below {MOST_IDS}")
    return size


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        DataError: the file does not exist or cannot be read, or a line is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise not_utf8(path, data.count(b"\n", 0, error.start) + 1) from error


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: the file does not exist or cannot be read, is a device, or is larger than any tokenizer file.
    """
    try:
        return read_bounded(path, MOST_JSON)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=str(path)) from error


def not_utf8(path: Path, line: int) -> DataError:
    message = "this line is not UTF-8; convert the file, with iconv for example"
    return DataError(message, file=str(path), line=line)


def _lines(text: str) -> list[str]:
    # Only a line feed ends a line: tokens may contain characters that str.splitlines() treats as line ends.
    lines = text.split("\n")
    if lines[0].endswith("\r"):
        lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_vocabulary(path: Path) -> dict[str, int]:
    """Token → id, in the order of the ids, from a file with one token per line.

    Raises:
        DataError: the file cannot be read, is not UTF-8 or is empty, or a token occurs twice.
    """
    return _vocabulary(path, _lines(read_text(path)))


def _vocabulary(path: Path, tokens: list[str]) -> dict[str, int]:
    if not tokens:
        raise DataError("the vocabulary is empty; expected one token per line", file=str(path))
    ids = dict(zip(tokens, range(len(tokens))))
    if len(ids) < len(tokens):
        first: dict[str, int] = {}
        for line, token in enumerate(tokens, 1):
            if token in first:
                shown = f"token '{token}'" if token else "an empty line"
                raise DataError(f"{shown} is already on line {first[token]}", file=str(path), line=line)
            first[token] = line
    return ids


def read_token_ids(path: Path) -> dict[str, int]:
    """Token → id, from a JSON object (``vocab.json``) or from a file with one token per line.

    Raises:
        DataError: the file cannot be read or is not UTF-8, the JSON is not a map of tokens to ids, the vocabulary is
            empty, or a token or an id occurs twice.
    """
    text = read_text(path)
    if path.suffix != ".json" and not text.lstrip().startswith('{"'):
        return _vocabulary(path, _lines(text))
    pairs = parse_json(path, text, object_pairs_hook=list)
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        message = "expected a JSON object that maps tokens to ids, as in GPT-2's vocab.json"
        raise DataError(message, file=str(path))
    if not pairs:
        raise DataError("the vocabulary is empty", file=str(path))
    token_of: dict[int, str] = {}
    ids: dict[str, int] = {}
    for token, index in pairs:
        if index >= MOST_IDS:
            shown = index if index < 2**64 else f"a number of {index.bit_length()} bits"
            raise DataError(f"'{token}' has the id {shown}; ids must be below {MOST_IDS}", file=str(path))
        if token in ids:
            raise DataError(f"token '{token}' occurs twice", file=str(path))
        if index in token_of:
            raise DataError(f"'{token_of[index]}' and '{token}' both have id {index}", file=str(path))
        ids[token], token_of[index] = index, token
    return ids


def _is_pair(pair: Any) -> bool:
    if not isinstance(pair, tuple) or len(pair) != 2:
        return False
    token, index = pair
    return isinstance(token, str) and isinstance(index, int) and not isinstance(index, bool) and index >= 0


def parse_json(path: Path, text: str, **options: Any) -> Any:
    """Parse a JSON text.

    Raises:
        DataError: the text is not valid JSON; the error names the line.
    """
    import json  # imported late, because most vocabularies that ``tp check`` reads are not JSON

    try:
        return json.loads(text, **options)
    except json.JSONDecodeError as error:
        raise DataError(f"is no valid JSON: {error.msg}", file=str(path), line=error.lineno) from error
    except RecursionError:
        raise DataError("is nested too deep", file=str(path)) from None
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"is no usable JSON: {error}", file=str(path)) from None


def read_merges(path: Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Merges in order of priority; a first line ``#version: ...`` is skipped.

    Raises:
        DataError: the file cannot be read or is not UTF-8, a line does not have two parts, or a part or the merged
            token is not in the vocabulary.
    """
    merges: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(read_text(path)), 1):
        if number == 1 and line.startswith("#version"):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or not all(parts):
            message = f"expected two parts with one space between them, got '{line}'"
            raise DataError(message, file=str(path), line=number)
        for token in (*parts, "".join(parts)):
            if token not in vocabulary:
                message = f"'{token}' is not in the vocabulary; do vocab and merges come from the same tokenizer?"
                raise DataError(message, file=str(path), line=number)
        merges.append((parts[0], parts[1]))
    return merges


def write_vocabulary(path: Path, tokens: Iterable[str]) -> None:
    """Write a file in the format of :func:`read_vocabulary`."""
    path.write_bytes("".join(f"{token}\n" for token in tokens).encode())
