"""Batches by number: what a step trains on is a pure function of (seed, step)."""

from __future__ import annotations

import functools
import signal
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from tp_core.data.routing import Feed
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.data.sampling.mixture import DataSet, Turns
from tp_core.data.sampling.order import EVALUATION, TRAIN, Order, generator
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
    ``batch_size`` samples in a row; process ``rank`` has an equal share of them, cut into ``accumulate`` micro-batches.
    A batch that reaches over the end of an epoch goes on in the next.

    Attributes:
        sizes: batch sizes of the run since its first step, the last of them ``batch_size``; None if all
            steps have the same.
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


class _Numbered(Dataset["Batch | Parcel | TPError"]):
    """Batch number → collated batch, packed where a worker sends it, or the error that stands for it.

    An error is a value here: raised in a worker, it would come with a traceback in its message.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """To a worker that is no fork, local files travel with what they define, and before it."""
        return _made_here, (type(self), namespaces()), self.__dict__

    def __getitem__(self, number: int) -> Batch | Parcel | TPError:
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

    def batch(self, number: int) -> Batch:
        raise NotImplementedError


def _packed(batch: Batch, worker: int) -> Parcel | TPError:
    try:
        return Parcel(batch)
    except Exception as error:
        told = not_sent(error, worker)
        if told is None:
            raise
        return told


def _made_here(kind: type[_Numbered], local: list[Namespace]) -> _Numbered:
    adopt(local)
    return kind.__new__(kind)


class _Training(_Numbered):
    """Micro-batch number → collated batch of the data set whose turn it is."""

    def __init__(self, sets: Sequence[DataSet], plan: BatchPlan, turns: Turns) -> None:
        self.sets, self.plan, self.turns = sets, plan, turns
        whole = plan.sizes or BatchSizes.constant(plan.batch_size)
        #: Of each set, by the set's own steps.
        self.sizes = [whole.renumbered(functools.partial(turns.before, number=n)) for n in range(len(sets))]
        self.orders = [_order(data, plan.seed, sizes) for data, sizes in zip(sets, self.sizes)]

    def batch(self, micro: int) -> Batch:
        step, part = divmod(micro, self.plan.accumulate)
        turn, own_step = self.turns.at(step)
        data, seed = self.sets[turn], self.plan.seed
        samples = []
        for number in self.plan.samples(self.sizes[turn].before(own_step), part):
            epoch, index = self.orders[turn].locate(number)
            samples.append(data.processor.sample(data.rows, index, generator(seed, TRAIN, epoch, index)))
        return data.feed.collate(samples)


def _order(data: DataSet, seed: int, sizes: BatchSizes) -> Order:
    if data.bucket is None or data.length_column is None:
        return Order(seed, len(data.rows))
    return Order(seed, len(data.rows), sizes, data.bucket, data.rows.lengths(data.length_column))


class _Evaluation(_Numbered):
    """Batch number → collated batch, in order, with randomness that is the same in every evaluation."""

    def __init__(self, rows: Rows, feed: Feed, batch_size: int, seed: int) -> None:
        self.rows, self.feed, self.batch_size, self.seed = rows, feed, batch_size, seed

    def batch(self, number: int) -> Batch:
        first = number * self.batch_size
        indices = range(first, min(first + self.batch_size, len(self.rows)))
        drawn = ((index, generator(self.seed, EVALUATION, 0, index)) for index in indices)
        return self.feed.collate([self.feed.processor.evaluation_sample(self.rows, *each) for each in drawn])


def _identity(value: Any) -> Any:
    return value


def _worker(_: int) -> None:
    # The training process decides when to stop; a signal to the whole group must not tear its workers away. They
    # end when it tells them to, or when it is gone.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    ignore_lost_receiver()
    torch.set_num_threads(1)


def _batches(
    dataset: _Numbered, numbers: range, workers: int, prefetch: int, pin: bool, patience: Patience
) -> Generator[Batch, None, None]:
    # Without an alarm, torch's own limit remains, which begins anew with every batch that comes out of its turn.
    own_limit = workers and patience.seconds is not None and not has_alarm()
    loader: DataLoader[Batch | Parcel | TPError] = DataLoader(
        dataset,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=prefetch if workers else None,
        collate_fn=_identity,
        pin_memory=pin,
        timeout=patience.seconds or 0 if own_limit else 0,
        worker_init_fn=_worker,
        generator=torch.Generator(),  # the loader's own draws must not move the training's random state
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
                # Torch deals batches out to the workers in turn.
                number = count % workers if workers else 0
                pid = processes[number].pid if workers else None
                raise patience.stalled(workers, number, pid) from None
            if isinstance(batch, TPError):
                raise batch
            yield batch
    except (ConnectionError, EOFError) as error:  # it went while a batch was handed over
        raise lost_worker(error) from error
    finally:
        end_workers(iterator)


def _unpacked(batch: Batch | Parcel | TPError) -> Batch | TPError:
    if not isinstance(batch, Parcel):
        return batch
    try:
        return batch.batch()
    except (OSError, EOFError) as error:  # whoever packed it, and holds its memory, is gone
        raise lost_worker(error) from error


def lost_worker(error: BaseException) -> TPError:
    """The error for the user when a process that prepares batches has ended on its own."""
    return TPError(
        f"a process that prepares batches has ended ({error}); if memory ran out, fewer train.workers or a smaller "
        "train.prefetch may help"
    )


def is_lost_worker(error: BaseException) -> bool:
    """True for the error by which torch says that a worker has ended.

    Torch raises it from a signal handler, so it can appear anywhere in the program.
    """
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


def training_batches(
    sets: Sequence[DataSet],
    plan: BatchPlan,
    turns: Turns,
    steps: range,
    workers: int = 0,
    prefetch: int = 4,
    pin: bool = False,
    timeout: float | None = None,
) -> Generator[list[Batch], None, None]:
    """For each step, this process's micro-batches.

    Args:
        timeout: seconds that a batch is waited for.

    Raises:
        TPError: a batch cannot be made, or did not come within the time.
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
) -> Generator[Batch, None, None]:
    """This process's share of all batches, each row once; ``timeout`` as of :func:`training_batches`."""
    count = -(-len(rows) // batch_size)
    numbers = range(rank, count if limit is None else min(count, limit), world_size)
    patience = Patience(timeout, rank)
    yield from _batches(_Evaluation(rows, feed, batch_size, seed), numbers, workers, 4, pin, patience)
