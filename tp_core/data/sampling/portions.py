"""The division of an evaluation's rows into batches, among the processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tp_core.interfaces import Batch, Sample


@dataclass(frozen=True)
class Portion:
    """The rows of one batch.

    Attributes:
        rows: indices of the rows.
        number: number of the batch among those of all processes, in the order of the data.
        records: number of the record of each row.
        complete: True if the last row is the last one of its record.
    """

    rows: range
    number: int
    records: Sequence[int]
    complete: bool = True


@dataclass(frozen=True)
class EvaluationBatch:
    """A labelled batch of an evaluation.

    Attributes:
        batch: the batch.
        portion: the rows that it has.
        samples: what the processor reads of its samples besides the batch (``Processor.carried``); empty if the
            processor has no metrics.
        questions: the inputs for which the model generates texts (``Processor.question``); None if it does not.
    """

    batch: Batch
    portion: Portion
    samples: tuple[Sample, ...] = ()
    questions: Batch | None = None

    def pin_memory(self) -> EvaluationBatch:
        questions = None if self.questions is None else self.questions.pin_memory()
        return replace(self, batch=self.batch.pin_memory(), questions=questions)


def portions(
    rows: int,
    batch_size: int,
    starts: NDArray[np.int64] | None = None,
    rank: int = 0,
    world_size: int = 1,
    limit: int | None = None,
) -> list[Portion]:
    """The batches of one process, in order. Each row occurs once among the processes.

    All rows of a record are in batches of the same process, one after the other, so that a process can combine the
    predictions of a record. Where every row is a record, batch ``i`` is that of process ``i mod world_size``.

    Args:
        rows: number of rows.
        batch_size: maximum number of rows in a batch.
        starts: first row of each record; None if every row is a record.
        limit: maximum number of groups of records of about ``batch_size`` rows; None for all.
    """
    groups = list(_groups(rows, batch_size, starts))[:limit]
    sizes = [-(-len(own) // batch_size) for own in groups]
    first = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    found = []
    for number in range(rank, len(groups), world_size):
        own = groups[number]
        for part in range(sizes[number]):
            begin = own.start + part * batch_size
            here = range(begin, min(begin + batch_size, own.stop))
            found.append(Portion(here, first[number] + part, _records(here, starts), here.stop == own.stop))
    return found


def _groups(rows: int, batch_size: int, starts: NDArray[np.int64] | None) -> Iterator[range]:
    """Whole records of at most ``batch_size`` rows together, or one record with more rows."""
    if starts is None:
        yield from (range(start, min(start + batch_size, rows)) for start in range(0, rows, batch_size))
        return
    begin = 0
    ends = [*starts[1:].tolist(), rows]
    last = 0
    for end in ends:
        if end - begin > batch_size and last > begin:
            yield range(begin, last)
            begin = last
        last = end
    if last > begin:
        yield range(begin, last)


def _records(rows: range, starts: NDArray[np.int64] | None) -> Sequence[int]:
    if starts is None:
        return rows
    found: list[int] = (np.searchsorted(starts, np.arange(rows.start, rows.stop), side="right") - 1).tolist()
    return found
