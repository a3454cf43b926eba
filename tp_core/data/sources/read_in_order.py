"""Records that are read and checked in threads, as if one did it after the other. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from tp_core.data.ordered_parallel_map import ordered_parallel_map
from tp_core.data.sources.records import Records
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report

Result = TypeVar("Result")


@dataclass(slots=True)  # a named tuple that is generic needs Python 3.11
class _Found(Generic[Result]):
    """The result of reading a record; or the error, with the function that reports it, if the record cannot be used."""

    result: Result | None
    error: DataError | None = None
    report: Report | None = None


def read_in_order(
    read: Callable[[Record], Result], records: Iterable[Record], report: Report, threads: int | None = None
) -> Iterator[Result]:
    """The results of ``read`` for all records that can be used, in order.

    The results and reports are those of a loop over the records, in the same order. So are the reports of the records'
    own :class:`tp_core.data.sources.records.BadRecords`, although records are read in advance. Some results are in
    memory before they are asked for; :func:`tp_core.data.ordered_parallel_map.ordered_parallel_map` says how many.

    Args:
        read: called in several threads at once; raises DataError for a record that cannot be used.
        report: receives these errors, in the thread that asks for results.
        threads: as of :func:`tp_core.data.ordered_parallel_map.ordered_parallel_map`.
    """
    reader = records.bad.report if isinstance(records, Records) else None
    steps: Iterable[Record | DataError] = records.with_errors() if isinstance(records, Records) else records

    def found(step: Record | DataError) -> _Found[Result]:
        if isinstance(step, DataError):
            return _Found(None, step, reader)
        try:
            return _Found(read(step))
        except DataError as error:
            return _Found(None, error, report)

    for each in ordered_parallel_map(found, steps, threads):
        if each.error is None:
            yield each.result  # type: ignore[misc]  # there is one, None or not, where there is no error
        else:
            assert each.report is not None
            each.report(each.error)
