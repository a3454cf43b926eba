"""Batches by number: the batch of a step is a pure function of (seed, step)."""

from __future__ import annotations

import functools
import signal
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from tp_core.data.routing import Feed
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.data.sampling.order import EVALUATION, TRAIN, generator
from tp_core.data.sampling.portions import EvaluationBatch, Portion, portions
from tp_core.data.sampling.waiting import (
    BatchTimeoutError,
    Parcel,
    Patience,
    end_workers,
    has_alarm,
    ignore_lost_receiver,
    not_sent,
    time_limit,
)
from tp_core.errors import TPError
from tp_core.interfaces import Batch, Rows
from tp_core.local import Namespace, adopt, namespaces
from tp_core.packages.plugin_errors import plugin_error
from tp_core.processes.leaving import held_back


@dataclass(frozen=True)
class BatchPlan:
    """The division of each step's samples among processes and micro-batches.

    Sample ``s`` of a data set of ``n`` instances is sample ``s mod n`` of epoch ``s div n``. A step takes
    ``batch_size`` consecutive samples. Process ``rank`` gets an equal share of them, divided into ``accumulate``
    micro-batches. A batch may begin in one epoch and end in the next.

    Attributes:
        sizes: batch sizes of the run since its first step; the last one is ``batch_size``. None if all steps have the
            same batch size.
    """

    batch_size: int
    accumulate: int = 1
    rank: int = 0
    world_size: int = 1
    seed: int = 0
    sizes: BatchSizes | None = None

    @property
    def micro_size(self) -> int:
        return self.batch_size // (self.world_size * self.accumulate)

    def samples(self, first: int, part: int) -> range:
        """Sample numbers of this process's micro-batch ``part`` of the step that begins with sample ``first``."""
        first += (self.rank * self.accumulate + part) * self.micro_size
        return range(first, first + self.micro_size)


#: A batch, as training or an evaluation uses it.
AnyBatch = TypeVar("AnyBatch", Batch, EvaluationBatch)


class _Numbered(Dataset["AnyBatch | Parcel[AnyBatch] | TPError"], Generic[AnyBatch]):
    """Batch number → collated batch (packed if a worker sends it), or the error of this batch.

    An error is returned as a value, since torch would put a traceback into the message of an error raised in a worker.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle local files before the objects that they define, for a worker that is not a fork."""
        return _made_here, (type(self), namespaces()), self.__dict__

    def __getitem__(self, number: int) -> AnyBatch | Parcel[AnyBatch] | TPError:
        try:
            batch = self.batch(number)
        except TPError as error:
            return error
        except BaseException as error:
            told = plugin_error(error)
            if told is None:
                raise
            return told
        worker = get_worker_info()
        return batch if worker is None else _packed(batch, worker.id)

    def batch(self, number: int) -> AnyBatch:
        raise NotImplementedError


def _packed(batch: AnyBatch, worker: int) -> Parcel[AnyBatch] | TPError:
    try:
        return Parcel(batch)
    except Exception as error:
        told = not_sent(error, worker)
        if told is None:
            raise
        return told


def _made_here(kind: type[_Numbered[Any]], local: list[Namespace]) -> _Numbered[Any]:
    adopt(local)
    return kind.__new__(kind)


class _Training(_Numbered[Batch]):
    """Micro-batch number → collated batch of the data set that the step uses."""

    def __init__(self, sets: Sequence[DataSet], plan: BatchPlan, turns: SetSchedule) -> None:
        self.sets, self.plan, self.turns = sets, plan, turns
        whole = plan.sizes or BatchSizes.constant(plan.batch_size)
        #: Batch sizes of each set, by the set's own steps.
        self.sizes = [whole.renumbered(functools.partial(turns.before, number=n)) for n in range(len(sets))]
        self.orders = [data.order(plan.seed, sizes) for data, sizes in zip(sets, self.sizes)]

    def batch(self, micro: int) -> Batch:
        step, part = divmod(micro, self.plan.accumulate)
        turn, own_step = self.turns.at(step)
        data, seed = self.sets[turn], self.plan.seed
        samples = []
        for number in self.plan.samples(self.sizes[turn].before(own_step), part):
            epoch, index = self.orders[turn].locate(number)
            samples.append(data.processor.sample(data.rows, index, generator(seed, TRAIN, epoch, index)))
        return data.feed.collate(samples)


class _Evaluation(_Numbered[EvaluationBatch]):
    """Number of a portion → collated batch, with the same random numbers in every evaluation."""

    def __init__(self, rows: Rows, feed: Feed, portions: Sequence[Portion], seed: int) -> None:
        self.rows, self.feed, self.portions, self.seed = rows, feed, portions, seed

    def batch(self, number: int) -> EvaluationBatch:
        portion, processor = self.portions[number], self.feed.processor
        drawn = ((index, generator(self.seed, EVALUATION, 0, index)) for index in portion.rows)
        samples = [processor.evaluation_sample(self.rows, *each) for each in drawn]
        carried = tuple(map(processor.carried, samples)) if processor.has_metrics else ()
        questions = self.feed.collate(list(map(processor.question, samples))) if processor.writes else None
        return EvaluationBatch(self.feed.collate(samples), portion, carried, questions)


def _identity(value: Any) -> Any:
    return value


def _worker(_: int) -> None:
    # The training process decides when to stop, so workers ignore a signal to the whole process group. They end when
    # the training process tells them to, or when it is gone.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    ignore_lost_receiver()
    torch.set_num_threads(1)


def _batches(
    dataset: _Numbered[AnyBatch], numbers: range, workers: int, prefetch: int, pin: bool, patience: Patience
) -> Generator[AnyBatch, None, None]:
    # Without an alarm, only torch's own limit applies. It restarts with every batch that arrives out of order.
    own_limit = workers and patience.seconds is not None and not has_alarm()
    loader: DataLoader[AnyBatch | Parcel[AnyBatch] | TPError] = DataLoader(
        dataset,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=prefetch if workers else None,
        collate_fn=_identity,
        pin_memory=pin,
        timeout=patience.seconds or 0 if own_limit else 0,
        worker_init_fn=_worker,
        generator=torch.Generator(),  # the loader must not change the random state of the training
    )
    with held_back():
        iterator = iter(loader)
    processes = list(getattr(iterator, "_workers", []))
    try:
        for count in range(len(numbers)):
            try:
                with time_limit(patience.seconds):
                    batch = next(iterator)
                    batch = _unpacked(batch)
            except (BatchTimeoutError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader timed out"):
                    raise
                # Torch assigns batches to the workers in turn.
                number = count % workers if workers else 0
                pid = processes[number].pid if workers else None
                raise patience.stalled(workers, number, pid) from None
            if isinstance(batch, TPError):
                raise batch
            yield batch
    except (ConnectionError, EOFError) as error:  # the worker ended while it sent a batch
        raise lost_worker(error) from error
    finally:
        end_workers(iterator)


def _unpacked(batch: AnyBatch | Parcel[AnyBatch] | TPError) -> AnyBatch | TPError:
    if not isinstance(batch, Parcel):
        return batch
    try:
        return batch.batch()
    except (OSError, EOFError) as error:  # the worker that packed the batch and holds its memory is gone
        raise lost_worker(error) from error


def lost_worker(error: BaseException) -> TPError:
    """The error for the user when a process that prepares batches has ended unexpectedly."""
    return TPError(
        f"a process that prepares batches has ended ({error}); if memory ran out, fewer train.workers or a smaller "
        "train.prefetch may help"
    )


def is_lost_worker(error: BaseException) -> bool:
    """True for the error with which torch reports that a worker has ended.

    Torch raises it from a signal handler, so it can be raised anywhere in the program.
    """
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


def training_batches(
    sets: Sequence[DataSet],
    plan: BatchPlan,
    turns: SetSchedule,
    steps: range,
    workers: int = 0,
    prefetch: int = 4,
    pin: bool = False,
    timeout: float | None = None,
) -> Generator[list[Batch], None, None]:
    """Yield this process's micro-batches for each step.

    Args:
        timeout: maximum time to wait for a batch, in seconds.

    Raises:
        TPError: a batch cannot be made, or did not arrive in time.
    """
    numbers = range(steps.start * plan.accumulate, steps.stop * plan.accumulate)
    patience = Patience(timeout, plan.rank)
    with closing(_batches(_Training(sets, plan, turns), numbers, workers, prefetch, pin, patience)) as batches:
        for _ in steps:
            yield [next(batches) for _ in range(plan.accumulate)]


def evaluation_batches(
    rows: Rows,
    feed: Feed,
    batch_size: int,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    limit: int | None = None,
    workers: int = 0,
    pin: bool = False,
    timeout: float | None = None,
) -> Generator[EvaluationBatch, None, None]:
    """This process's share of all batches (:func:`portions`); for ``timeout``, see :func:`training_batches`."""
    own = portions(len(rows), batch_size, feed.processor.record_starts(rows), rank, world_size, limit)
    patience = Patience(timeout, rank)
    yield from _batches(_Evaluation(rows, feed, own, seed), range(len(own)), workers, 4, pin, patience)
