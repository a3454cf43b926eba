"""Functions of many items in threads: order, errors in their turn, bounds, and the reports of records."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tp_core.data.ordered_parallel_map import ordered_parallel_map
from tp_core.data.sources.read_in_order import read_in_order
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.interfaces import Record


def slow(number: int) -> int:
    """Later items are done before earlier ones."""
    time.sleep((7 - number % 7) * 0.0005)
    return number * number


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_in_the_order_of_the_items(threads: int) -> None:
    assert list(ordered_parallel_map(slow, range(100), threads)) == [n * n for n in range(100)]
    assert list(ordered_parallel_map(lambda n: n + 1, range(5000), threads)) == list(range(1, 5001))
    assert list(ordered_parallel_map(slow, [], threads)) == []


def test_items_are_computed_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)  # broken unless two threads come to it
    threads = set()

    def meet(number: int) -> None:
        threads.add(threading.get_ident())
        time.sleep(0.003)  # the first two are there to see how long they take
        if number >= 2:
            meeting.wait()

    assert len(list(ordered_parallel_map(meet, range(6), 2))) == 6
    assert len(threads) == 3


def test_items_that_are_quick_are_computed_where_they_are_asked_for() -> None:
    found = set(ordered_parallel_map(lambda _: threading.get_ident(), range(1000), 8))
    assert found == {threading.get_ident()}


def test_no_more_than_the_named_number_of_items_is_taken_in_advance() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 400:
            taken += 1
            yield taken

    for given, _ in enumerate(ordered_parallel_map(lambda _: time.sleep(0.0003), items(), 2, ahead=12)):
        assert taken - given <= 12
    taken = 360
    for given, _ in enumerate(ordered_parallel_map(lambda _: time.sleep(0.003), items(), 2), 360):
        assert taken - given <= 2 + 2  # of items that take long


@pytest.mark.parametrize("threads", [1, 3])
def test_an_exception_comes_behind_the_results_of_all_items_before(threads: int) -> None:
    def inverse(number: int) -> float:
        return 1 / (number - 30)

    def items() -> Iterator[int]:
        yield from range(40)
        raise OSError("no more")

    found: list[float] = []
    with pytest.raises(ZeroDivisionError):
        found.extend(ordered_parallel_map(inverse, items(), threads))
    assert found == [inverse(n) for n in range(30)]
    squares: list[int] = []
    with pytest.raises(OSError, match="no more"):
        squares.extend(ordered_parallel_map(slow, items(), threads))
    assert squares == [n * n for n in range(40)]


def test_no_thread_is_left_when_the_results_are_not_all_wanted() -> None:
    before = threading.active_count()
    results = ordered_parallel_map(slow, range(1000), 4)
    assert next(results) == 0
    results.close()
    assert threading.active_count() == before


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_ends_the_work_at_once() -> None:
    program = (
        "import os, signal, threading, time\n"
        "from tp_core.data.ordered_parallel_map import ordered_parallel_map\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    for _ in ordered_parallel_map(lambda _: time.sleep(0.02), range(100000), 2): pass\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', threading.active_count())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "interrupted 1\n"


# Records


def numbers(folder: Path, lines: int = 400) -> str:
    """Lines of which some are no JSON, some have no number, and some a negative one."""
    path = folder / "numbers.jsonl"
    kinds = ["{}", "[1", '{{"n": -{}}}', *['{{"n": {}}}'] * 5]
    path.write_text("".join(kinds[n * 5 % len(kinds)].replace("{}", str(n), 1).format(n) + "\n" for n in range(lines)))
    return str(path)


def root(record: Record) -> float:
    time.sleep(record.line % 3 * 0.0003)
    number = record.value.get("n")
    if number is None or number < 0:
        raise DataError(f"no root of {number}", file=record.file, line=record.line)
    return float(number) ** 0.5


def reading(path: str, bad: BadRecords, threads: int) -> list[float]:
    return list(read_in_order(root, read_records([path], bad=bad), bad.report, threads))


def test_reports_of_reading_and_of_checking_come_in_the_order_of_the_records(tmp_path: Path) -> None:
    path, bad, expected = numbers(tmp_path), BadRecords("skip"), BadRecords("skip")
    bad.KEEP = expected.KEEP = 1000
    results = []
    for record in read_records([path], bad=expected):
        try:
            results.append(root(record))
        except DataError as error:
            expected.report(error)
    assert len(results) == 250
    for threads in (1, 4):
        bad.count, bad.messages = 0, []
        assert reading(path, bad, threads) == results
        assert bad.messages == expected.messages
        assert bad.summary() == expected.summary()
    lines = [int(message.split(":")[1]) for message in bad.messages]
    assert lines == sorted(lines)
    assert {"no root" in message for message in bad.messages} == {True, False}


def test_the_first_bad_record_is_the_fatal_one_whether_it_cannot_be_read_or_used(tmp_path: Path) -> None:
    for first, second in (('{"n": -1}', "[1"), ("[1", '{"n": -1}')):
        path = tmp_path / "x.jsonl"
        path.write_text("".join(f"{line}\n" for line in ('{"n": 1}', first, second)))
        seen = []
        for threads in (1, 4):
            with pytest.raises(DataError) as caught:
                reading(str(path), BadRecords(), threads)
            seen.append(str(caught.value))
        assert seen[0] == seen[1]
        assert ":2: " in seen[0]


def test_reports_come_in_the_thread_that_asks(tmp_path: Path) -> None:
    seen = set()
    records = [Record({"n": -number}, "x", number) for number in range(1, 50)]
    assert not list(read_in_order(root, records, lambda _: seen.add(threading.get_ident()), 4))
    assert seen == {threading.get_ident()}
