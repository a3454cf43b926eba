"""Compute a model's answers to records in order, in batches of similar length that processes may share."""

from __future__ import annotations

import heapq
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from typing import Any, Generic, TypeVar

import torch

from tp_core.data.routing import Feed
from tp_core.data.sources.options import MEDIA
from tp_core.data.sources.unreadable import Unreadable
from tp_core.errors import DataError, TPError
from tp_core.interfaces import Batch, Record, Sample
from tp_core.processes.shared import ALONE, Processes

Answer = TypeVar("Answer")

#: Converts records to samples, one per record.
Encode = Callable[[list[Record]], list[Sample]]

#: Converts records to the samples of each record.
Divide = Callable[[list[Record]], list[list[Sample]]]

#: Computes one answer per sample of a batch, given the positions of the samples' records among all records (from 0) and
#: the records.
Compute = Callable[[Batch, list[int], list[Record]], Sequence[Answer]]


@dataclass(frozen=True)
class Unusable:
    """Replaces the answer to a record that cannot be used; ``error`` is the reason."""

    error: str


@dataclass(frozen=True)
class Division(Generic[Answer]):
    """Records that may have several samples.

    Attributes:
        divide: converts records to the samples of each.
        combine: makes one answer of those to the samples of a record.
    """

    divide: Divide
    combine: Callable[[list[Sample], list[Answer]], Answer]


def need_batch_size(size: int) -> None:
    """Raise a :class:`TPError` if the number of records per batch is not an integer of at least 1."""
    if isinstance(size, bool) or not isinstance(size, Integral):
        raise TPError(f"batch_size: expected an integer, got {size!r}")
    if size < 1:
        raise TPError(f"batch_size must be at least 1, got {size}")


def answers(
    records: Iterable[Record],
    feed: Feed,
    batch_size: int,
    device: torch.device,
    compute: Compute[Answer],
    encode: Encode | None = None,
    skip: bool = False,
    processes: Processes = ALONE,
    done: Callable[[int], None] = lambda _: None,
    division: Division[Answer] | None = None,
) -> Iterator[tuple[list[Record], list[Answer | Unusable]]]:
    """Chunks of records, each with its answers, in order.

    A chunk is the group of records that the processor reads ahead. Batches and answers do not depend on the number of
    processes. Each process reads all records. While there is one full chunk per process, each process encodes and
    computes one chunk. For the remaining chunks, all processes encode the records and share the batches by size.

    Args:
        feed: makes the batches.
        encode: converts records to samples; default: the processor's ``encode``.
        skip: True to answer unusable records with an :class:`Unusable` and continue.
        processes: the processes that share the work. The first gets all answers, the others none.
        done: called with the number of finished records after each batch. Records of other processes and unusable
            records are reported when the processes exchange their answers.
        division: the samples of records that may have several, instead of ``encode``.

    Raises:
        DataError: a record cannot be used, and ``skip`` is False.
        TPError: the batch size is invalid, or the processes read different records.
    """
    need_batch_size(batch_size)
    told = 0

    def count(rows: int) -> None:
        nonlocal told
        told += rows
        done(rows)

    if division is None:
        division = _undivided(encode or feed.processor.encode)
    share = _Share(feed, batch_size, device, compute, division, skip, count)
    source, size, first = iter(records), feed.processor.read_ahead, 0
    while turn := list(islice(source, size * processes.count)):
        whole = len(turn) == size * processes.count
        loads = [(0, rank) for rank in range(processes.count)]
        own: dict[int, Answer | Unusable] = {}
        parts: dict[int, _Parts[Answer]] = {}
        for number, start in enumerate(range(0, len(turn), size)):
            if whole and number != processes.rank:
                continue
            chunk = turn[start : start + size]
            found = share.of(chunk, first + start, None if whole else loads, processes.rank)
            for index, answer in found.items():
                if isinstance(answer, Unusable):
                    own[start + index] = answer
                elif whole:
                    own[start + index] = answer.combined(division)
                else:
                    parts[start + index] = answer
        computed = {number: each.answers for number, each in parts.items()}
        shares = processes.collect((digest(turn) if processes.count > 1 else 0, own, computed))
        if any(each != shares[0][0] for each, _, _ in shares):
            raise TPError("the processes read different records; all need the same input files")
        count(first + len(turn) - told)
        if shares:
            together = {number: answer for _, each, _ in shares for number, answer in each.items()}
            for number, each in parts.items():  # the first process has the samples of all records
                for _, _, theirs in shares:
                    each.answers.update(theirs[number])
                together[number] = each.combined(division)
            for start in range(0, len(turn), size):
                chunk = turn[start : start + size]
                yield chunk, [together[number] for number in range(start, start + len(chunk))]
        first += len(turn)


def _undivided(encode: Encode) -> Division[Any]:
    def one(samples: list[Sample], found: list[Any]) -> Any:
        return found[0]

    return Division(lambda records: [[sample] for sample in encode(records)], one)


@dataclass
class _Parts(Generic[Answer]):
    """The samples of a record, and the answers to them, by number."""

    samples: list[Sample]
    answers: dict[int, Answer]

    def combined(self, division: Division[Answer]) -> Answer:
        return division.combine(self.samples, [self.answers[number] for number in range(len(self.samples))])


@dataclass(frozen=True)
class _Share(Generic[Answer]):
    """The settings and functions that a process needs to compute the answers to a chunk's records."""

    feed: Feed
    batch_size: int
    device: torch.device
    compute: Compute[Answer]
    division: Division[Answer]
    skip: bool
    done: Callable[[int], None]

    def of(
        self, chunk: list[Record], first: int, loads: list[tuple[int, int]] | None, rank: int
    ) -> dict[int, _Parts[Answer] | Unusable]:
        """The answers that one process computes for the samples of a chunk's records, by index in the chunk.

        Args:
            first: position of the chunk's first record among all records.
            loads: heap of (work so far, rank) of all processes; None if this process computes all batches.
        """
        found: dict[int, _Parts[Answer] | Unusable] = {}
        parts = {index: _Parts[Answer](samples, {}) for index, samples in self._samples(chunk, found).items()}
        found.update(parts)
        samples = [(index, number) for index, each in parts.items() for number in range(len(each.samples))]
        lengths = {(index, number): _length(parts[index].samples[number]) for index, number in samples}
        order = sorted(samples, key=lambda place: lengths[place])
        groups = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        # Start with the longest batches; each batch goes to the process with the least work.
        owners = {}
        if loads is not None:
            for number in reversed(range(len(groups))):
                load, owners[number] = loads[0]
                cost = len(groups[number]) * max(1, lengths[groups[number][-1]])
                heapq.heapreplace(loads, (load + cost, owners[number]))
        for number, group in enumerate(groups):
            if owners.get(number, rank) == rank:
                batch = self.feed.collate([parts[i].samples[j] for i, j in group]).to(self.device)
                made = self.compute(batch, [first + i for i, _ in group], [chunk[i] for i, _ in group])
                complete = 0
                for (i, j), answer in zip(group, made, strict=True):
                    parts[i].answers[j] = answer
                    complete += len(parts[i].answers) == len(parts[i].samples)
                self.done(complete)
        return found

    def _samples(self, chunk: list[Record], found: dict[int, _Parts[Answer] | Unusable]) -> dict[int, list[Sample]]:
        """The samples of a chunk's records by index; unusable records are added to the answers."""
        read = {}
        for number, record in enumerate(chunk):
            if isinstance(record, Unreadable):
                found[number] = Unusable(record.error)
            else:
                read[number] = record
        try:
            return dict(zip(read, self.division.divide(list(read.values())), strict=True)) if read else {}
        except DataError:
            if not self.skip:
                raise
        samples = {}
        for number, record in read.items():
            try:
                (samples[number],) = self.division.divide([record])
            except DataError as error:
                found[number] = Unusable(str(error))
        return samples


def _length(sample: Sample) -> int:
    return max((len(value) for value in sample.values() if hasattr(value, "__len__")), default=0)


def digest(records: list[Record]) -> int:
    """A number that identifies the content of records, independent of their folder."""
    found = 0
    for record in records:
        for name, value in record.value.items():
            if name in MEDIA and isinstance(value, str):
                value = os.path.basename(value)
            found = _added(value, _added(name, found))
    return found


def _added(value: object, before: int) -> int:
    if isinstance(value, Mapping):
        for name, part in value.items():
            before = _added(part, _added(name, before))
        return before
    content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "backslashreplace")
    return zlib.crc32(content, before)
