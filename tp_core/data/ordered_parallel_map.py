"""A parallel map in threads that keeps the order of the items. Torch-free."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Seconds of work that a thread gets at a time. Handing over work costs tens of microseconds, and threads that request
#: the interpreter lock too often wait for each other. Small images would take longer than with one thread.
_SPAN = 0.002

#: Items faster than this many seconds are computed in the calling thread. For such items, such as images of 32 pixels,
#: the interpreter lock dominates, and two threads would be slower than one.
_QUICK = 0.00015

#: Maximum number of items that are timed first.
_TRIED = 16

#: Maximum number of threads; with more, reading, decoding and hashing wait for the disk or memory.
_MOST = 8


def usable_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, ahead: int = 512
) -> Generator[Result, None, None]:
    """Apply ``function`` to each item in threads; the results are in order, as with ``map``.

    It is worthwhile if the function releases the interpreter lock, as reading, decoding and hashing do. An exception is
    raised after the results of all earlier items. Items are taken in the thread that requests results.

    Args:
        function: called in several threads at once.
        threads: number of threads; default: 8, or the number of cores if it is smaller. With one thread, or if the
            first items are too fast for threads to help, no thread is started and no item is taken in advance.
        ahead: maximum number of items or results to hold in advance. For items slower than about 2 ms, only two more
            than the number of threads are held.
    """
    count = min(_MOST, usable_cores()) if threads is None else threads
    source = iter(items)
    quick = count < 2 or (yield from _tried(function, source))
    yield from map(function, source) if quick else _threaded(function, source, count, ahead)


def _tried(function: Callable[[Item], Result], items: Iterator[Item]) -> Generator[Result, None, bool]:
    """Yield the results of the first items and return True if they were fast; the very first item is not timed."""
    times: list[float] = []
    for item in islice(items, _TRIED):
        start = time.perf_counter()
        result = function(item)
        times.append(time.perf_counter() - start)
        yield result
        if sum(times[1:]) > _SPAN:
            break
    return len(times) > 1 and median(times[1:]) < _QUICK


@dataclass(slots=True)  # a generic named tuple needs Python 3.11
class _Run(Generic[Result]):
    """Results of consecutive items, the exception after them, and the seconds that they took."""

    results: list[Result]
    error: Exception | None
    seconds: float


def _computed(function: Callable[[Item], Result], items: list[Item]) -> _Run[Result]:
    start = time.perf_counter()
    results: list[Result] = []
    error: Exception | None = None
    try:
        for item in items:
            results.append(function(item))
    except Exception as raised:
        error = raised
    return _Run(results, error, time.perf_counter() - start)


def _taken(source: Iterator[Item], count: int) -> tuple[list[Item], Exception | None]:
    """The next items, and the exception that ended them, if there are fewer than ``count``."""
    items: list[Item] = []
    try:
        while len(items) < count:
            items.append(next(source))
    except Exception as error:  # including StopIteration
        return items, error
    return items, None


def _threaded(function: Callable[[Item], Result], source: Iterator[Item], threads: int, ahead: int) -> Iterator[Result]:
    longest = max(1, ahead // (threads + 2))
    length = 1
    end: Exception | None = None
    waiting: deque[Future[_Run[Result]]] = deque()
    pool = ThreadPoolExecutor(threads, "in-order")
    try:
        while True:
            while end is None and len(waiting) < threads + 2:
                taken, end = _taken(source, length)
                if taken:
                    waiting.append(pool.submit(_computed, function, taken))
            if not waiting:
                break
            run = waiting.popleft().result()
            yield from run.results
            if run.error is not None:
                raise run.error
            wanted = int(len(run.results) * _SPAN / max(run.seconds, 1e-9))
            length = max(1, min(wanted, 2 * length, longest))
        if not isinstance(end, StopIteration):
            assert end is not None
            raise end
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
