"""Reading and checking of records in several threads, with the results in sequential order. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from tp_core.data.ordered_parallel_map import ordered_parallel_map
from tp_core.data.sources.records import Records
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report

Result = TypeVar("Result")


@dataclass(slots=True)  # a generic NamedTuple needs Python 3.11
class _Found(Generic[Result]):
    """The result of reading a record, or its error with the function that reports it."""

    result: Result | None
    error: DataError | None = None
    report: Report | None = None


def read_in_order(
    read: Callable[[Record], Result], records: Iterable[Record], report: Report, threads: int | None = None
) -> Iterator[Result]:
    """The results of ``read`` for all records that can be used, in order.

    Results and error reports come in the same order as in a plain loop over the records. This includes the reports of
    the records' own :class:`tp_core.data.sources.records.BadRecords`, although records are read in advance. For the
    number of results that are computed in advance, see :func:`tp_core.data.ordered_parallel_map.ordered_parallel_map`.

    Args:
        read: called in several threads at once; raises DataError for a record that cannot be used.
        report: receives these errors, in the thread that consumes the results.
        threads: see :func:`tp_core.data.ordered_parallel_map.ordered_parallel_map`.
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
            yield each.result  # type: ignore[misc]  # without an error, there is a result, which may be None
        else:
            assert each.report is not None
            each.report(each.error)
