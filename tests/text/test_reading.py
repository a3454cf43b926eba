"""From records to rows: places, documents and rows do not depend on how the texts were read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.text.vocabularies import BERT, DATA, lines
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_text.processors import reading
from tp_text.processors.filling import SentenceRows
from tp_text.processors.packing import packed_rows
from tp_text.processors.reading import TokenizedTexts, tokenized
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig


@pytest.mark.parametrize("chunk", [1, 3, 4096])
def test_texts_keep_their_places_and_ids_however_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(reading, "CHUNK", chunk)
    tokenizer = WordPieceConfig(vocab=lines(tmp_path / "v.txt", [*BERT, *"abcde"])).build(DATA)
    (tmp_path / "1.txt").write_text("a b\n\n  \nc [MASK] d\n")
    (tmp_path / "2.txt").write_text("")
    (tmp_path / "3.jsonl").write_text("".join(json.dumps({"text_a": t}) + "\n" for t in ["e", "a a", "b"]))
    (tmp_path / "4.txt").write_text("d e\n")
    paths = [str(path) for path in sorted(tmp_path.glob("[1-4].*"))]

    def told(records: Any) -> list[tuple[str, int, str, list[int]]]:
        found = []
        for part in tokenized(tokenizer, records, BadRecords().report):
            assert len(part.lines) == len(part.texts) == len(part.ends) > 0
            pieces = np.split(part.ids, part.ends)[:-1]
            found += [(part.file, *each) for each in zip(part.lines, part.texts, map(np.ndarray.tolist, pieces))]
        return found

    expected = [
        (record.file, record.line, text, tokenizer.encode_batch([text])[0])
        for record in read_records(paths)
        for text in record.value.values()
    ]
    assert len(expected) == 8
    assert told(read_records(paths)) == expected
    assert told(list(read_records(paths))) == expected


def test_texts_without_the_field_are_reported_with_their_line(tmp_path: Path) -> None:
    tokenizer = WordPieceConfig(vocab=lines(tmp_path / "v.txt", [*BERT, "a"])).build(DATA)
    (tmp_path / "a.txt").write_text("a\na\n")
    bad = BadRecords("skip")
    records = read_records([str(tmp_path / "a.txt")], {"label": "text"}, bad)
    assert list(tokenized(tokenizer, records, bad.report)) == []
    assert [message.split(": ")[0][-2:] for message in bad.messages] == [":1", ":2"]
    with pytest.raises(DataError, match="no field 'text_a' or 'text'"):
        list(tokenized(tokenizer, [Record({"b": 1}, "x", 1)], BadRecords().report))


_LENGTHS = st.lists(st.one_of(st.integers(0, 5), st.integers(0, 30), st.just(-1)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(lengths=_LENGTHS, cuts=st.lists(st.integers(0, 40), max_size=5), rooms=st.lists(st.integers(1, 9), min_size=1))
def test_rows_hold_whole_sentences_of_one_document(lengths: list[int], cuts: list[int], rooms: list[int]) -> None:
    """-1 stands for a blank line; ``cuts`` are where the texts are divided among calls."""
    filling = SentenceRows(9, lambda number: rooms[number % len(rooms)])
    numbers = np.arange(sum(n for n in lengths if n > 0), dtype=np.int32)
    bounds = sorted({0, len(lengths), *(cut for cut in cuts if cut < len(lengths))})
    start = 0
    for first, last in pairwise(bounds):
        part = [max(n, 0) for n in lengths[first:last]]
        texts = ["" if n < 0 else "text" for n in lengths[first:last]]
        ids = numbers[start : start + sum(part)]
        start += sum(part)
        filling.add(TokenizedTexts("f", range(first + 1, last + 1), texts, ids, np.cumsum(part).tolist()))
    filling.end_document()
    rows = filling.take()
    found = list(zip([row.tolist() for row in rows["tokens"]], rows["lengths"], rows["document"]))
    assert found == list(_expected_rows(lengths, rooms))


def _expected_rows(lengths: list[int], rooms: list[int]) -> Iterator[tuple[list[int], list[int], int]]:
    documents: list[list[int]] = [[]]
    for length in lengths:
        if length < 0:
            documents.append([])
        documents[-1] += [min(9, length - i) for i in range(0, length, 9)]
    token = number = 0
    for document, sentences in enumerate(filter(None, documents)):
        while sentences:
            count = next(
                (n for n in range(1, len(sentences)) if sum(sentences[: n + 1]) > rooms[number % len(rooms)]), 0
            )
            row, sentences = sentences[: count or None], sentences[count:] if count else []
            yield list(range(token, token + sum(row))), row, document
            token, number = token + sum(row), number + 1


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), max_size=30),
    length=st.integers(1, 12),
    separated=st.booleans(),
    across=st.booleans(),
)
def test_packed_rows_are_the_documents_in_order(lengths: list[int], length: int, separated: bool, across: bool) -> None:
    documents: list[NDArray[np.int32]] = [np.full(n, i, dtype=np.int32) for i, n in enumerate(lengths)]
    rows = [
        row.tolist() for chunk in packed_rows(documents, length, -1 if separated else None, across) for row in chunk
    ]
    if across:
        buffer: list[int] = []
        for document in documents:
            # There is no separator where a row begins.
            buffer += [-1] * (separated and len(buffer) % length > 0) + document.tolist()
        expected = [buffer[i : i + length] for i in range(0, len(buffer), length)]
    else:
        expected = [d[i : i + length].tolist() for d in documents for i in range(0, len(d), length)]
    assert rows == expected
