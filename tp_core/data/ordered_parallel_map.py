"""A function of many items, computed in threads and given back in the order of the items. Torch-free."""

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

#: Seconds that a thread is given work for at a time. Handing a thread its work costs tens of microseconds, and threads
#: that ask for the interpreter that often wait for each other: small pictures would take longer than with one thread.
_SPAN = 0.002

#: Seconds under which an item is computed where its result is asked for: of such items, as of pictures of 32 pixels,
#: most of the time is the interpreter's, and two threads take longer than one.
_QUICK = 0.00015

#: Items that are tried first, at most, to know how long they take.
_TRIED = 16

#: Most threads: reading, decoding and hashing then wait for the disk or for memory.
_MOST = 8


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, ahead: int = 512
) -> Generator[Result, None, None]:
    """``function`` of each item, as ``map`` gives it, computed in threads.

    It is worth it where the function leaves the interpreter, as reading, decoding and hashing do. What is raised is
    raised in its turn: behind the results of all items before. Items are taken in the thread that asks for results.

    Args:
        function: called in several threads at once.
        threads: how many; 8, or as many as the process has cores if these are fewer, if None. With one, or where the
            first items are too quick for threads to help, no thread is begun, and nothing is taken in advance.
        ahead: most items that are taken, or results that are kept, before they are asked for. Of items that take longer
            than about 2 ms, these are only two more than there are threads.
    """
    count = min(_MOST, usable_cores()) if threads is None else threads
    source = iter(items)
    quick = count < 2 or (yield from _tried(function, source))
    yield from map(function, source) if quick else _threaded(function, source, count, ahead)


def _tried(function: Callable[[Item], Result], items: Iterator[Item]) -> Generator[Result, None, bool]:
    """The results of the first items, and whether they were quick; the very first, which may load libraries, apart."""
    times: list[float] = []
    for item in islice(items, _TRIED):
        start = time.perf_counter()
        result = function(item)
        times.append(time.perf_counter() - start)
        yield result
        if sum(times[1:]) > _SPAN:
            break
    return len(times) > 1 and median(times[1:]) < _QUICK


@dataclass(slots=True)  # a named tuple that is generic needs Python 3.11
class _Run(Generic[Result]):
    """Results of items in a row, the exception that came behind them, and the seconds that they took."""

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
    """The next items, and what ended them if they are fewer."""
    items: list[Item] = []
    try:
        while len(items) < count:
            items.append(next(source))
    except Exception as error:  # StopIteration among them
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
