"""Data prepared by one thread and by several, for comparison."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tp_core.data.cache.rows import write_rows
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.interfaces import Processor


def table(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    """JSON lines of records, with lines that are none: every eleventh."""
    lines: list[str] = []
    for record in records:
        lines += [json.dumps(record), *(["[" * len(lines)] if len(lines) % 11 == 5 else [])]
    path.write_text("\n".join(lines) + "\n")
    return path


def prepared(processor: Processor, data: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, str]:
    """The file of rows, and what is said of bad records, of a process that has so many cores."""
    monkeypatch.setattr("tp_core.data.ordered_parallel_map._QUICK", 0.0)
    monkeypatch.setattr("tp_core.data.ordered_parallel_map.usable_cores", lambda: threads)
    monkeypatch.setattr(BadRecords, "KEEP", 10_000)
    bad = BadRecords("skip")
    rows = data.with_name(f"{threads}.arrow")
    write_rows(rows, processor.prepare(read_records([str(data)], bad=bad), bad.report))
    return rows.read_bytes(), str(bad.summary())


def first_error(processor: Processor, data: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The message of the first bad record, where bad records are fatal."""
    monkeypatch.setattr("tp_core.data.ordered_parallel_map._QUICK", 0.0)
    monkeypatch.setattr("tp_core.data.ordered_parallel_map.usable_cores", lambda: threads)
    bad = BadRecords()
    with pytest.raises(DataError) as caught:
        list(processor.prepare(read_records([str(data)], bad=bad), bad.report))
    return str(caught.value)


def assert_same(processor: Processor, data: Path, monkeypatch: pytest.MonkeyPatch, bad: Iterable[str]) -> None:
    """Several threads make the very file that one makes, and say the same of the same records in the same order.

    Args:
        bad: words that must be said of some record.
    """
    rows, said = prepared(processor, data, 1, monkeypatch)
    for threads in (2, 5):
        assert prepared(processor, data, threads, monkeypatch) == (rows, said)
        assert first_error(processor, data, threads, monkeypatch) == first_error(processor, data, 1, monkeypatch)
    for words in [*bad, "JSON"]:
        assert words in said
    places = [int(line.split(f"{data.name}:")[1].partition(":")[0]) for line in said.splitlines()[1:]]
    assert places == sorted(places)
    assert len(set(places)) == len(places) > 10
