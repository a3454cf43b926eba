"""Processes started by torchrun that share the records of one call. Torch-free until they join."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from tp_core.errors import PeerFailedError, TPError
from tp_core.processes.launch import launch

if TYPE_CHECKING:
    import torch

    from tp_core.processes.group import ProcessGroup

#: Seconds within which all processes must have started.
_START = 300.0

#: Seconds that a process waits for the work of others.
_LIMIT = 3600.0

Item = TypeVar("Item")
Value = TypeVar("Value")


def world_size() -> int:
    """The number of processes that torchrun has started together, including this one."""
    return launch().world_size


class Processes:
    """The processes that share the work of a call. Without a group, one process does all the work.

    Every process makes the same calls in the same order, since each waits for the others.

    Args:
        group: process group that the processes have joined.
    """

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self.group = group
        self.rank = 0 if group is None else group.rank
        self.count = 1 if group is None else group.world_size

    @property
    def first(self) -> bool:
        """True for the process that collects results, writes files and prints."""
        return self.rank == 0

    def device(self, wanted: str) -> torch.device:
        """The device of this process. Processes on one machine get separate CUDA devices, if there are enough.

        Args:
            wanted: ``auto``, ``cpu`` or ``cuda``.
        """
        import torch

        from tp_core.processes.devices import pick_device

        found = pick_device(wanted, launch().local_rank % max(1, torch.cuda.device_count()))
        if found.type == "cuda" and self.group is not None:
            torch.cuda.set_device(found)  # for kernels that ignore the device of their tensors
        return found

    def collect(self, value: Value) -> list[Value]:
        """The values of all processes by rank on the first process; an empty list on the others."""
        return [value] if self.group is None else self.group.collect(value)

    def from_first(self, value: Value) -> Value:
        """The first process's value on every process; waits without a limit."""
        if self.group is None:
            return value
        with self._patient():
            found: Value = self.group.from_first(value)
        return found

    def first_then_others(self, work: Callable[[], Value]) -> Value:
        """Run work that leaves a file, first on the first process and then on the others, which find the file."""
        if self.group is None:
            return work()
        found = [work()] if self.first else []
        with self._patient():
            self.group.barrier()
        return found[0] if found else work()

    @contextlib.contextmanager
    def _patient(self) -> Iterator[None]:
        """A context for long waits, while one process works alone, for example on preparing data."""
        assert self.group is not None
        self.group.limit_waits(None)
        try:
            yield
        finally:
            self.group.limit_waits(_LIMIT)

    def need_same(self, value: str, what: str) -> None:
        """Raise a :class:`TPError` if processes have different values, since their results would not belong together.

        Args:
            what: name of the value in the plural: ``the weights of the model``.
        """
        if self.group is None:
            return
        values = self.group.gather(value)
        other = next((rank for rank, each in enumerate(values) if each != values[0]), 0)
        if other:
            raise TPError(f"{what} differ between process 0 and process {other}; all processes need the same files")

    def mapped(self, function: Callable[[Item], Value], items: Iterable[Item], each: int = 16) -> Iterator[list[Value]]:
        """Compute ``function`` of each item on one of the processes.

        Args:
            items: the items, the same on every process.
            each: maximum number of items that a process computes between two exchanges.

        Yields:
            The results since the last exchange, in order; an empty list on all processes but the first.
        """
        source = iter(items)
        while turn := list(islice(source, each * self.count if self.count > 1 else 1)):
            shares = self.collect([function(item) for item in turn[self.rank :: self.count]])
            yield [shares[number % self.count][number // self.count] for number in range(len(turn))] if shares else []


#: A single process that does all the work.
ALONE = Processes()


@contextlib.contextmanager
def shared() -> Iterator[Processes]:
    """A context in which the processes started by torchrun share work; without torchrun, a single process.

    An error ends all processes: the first that failed raises it, the others :class:`~tp_core.errors.PeerFailedError`.
    At the end, each process waits for the others.

    Raises:
        TPError: the process already has a process group.
    """
    if world_size() == 1:
        yield ALONE
        return
    import torch.distributed as dist
    from torch import cuda

    from tp_core.processes.torch_group import TorchGroup

    if dist.is_initialized():
        raise TPError(
            "processes that share records make a process group of their own, and this process has one already; destroy "
            "it first (torch.distributed.destroy_process_group)"
        )
    device_before = cuda.current_device() if cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    group = TorchGroup(_START)
    try:
        group.join("cpu")  # results are exchanged on the CPU
        group.limit_waits(_LIMIT)
        yield Processes(group)
        group.barrier()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        told = _told(error, group)
        if told is error:
            raise
        raise told from error
    finally:
        group.leave()
        if device_before is not None:
            cuda.set_device(device_before)


def _told(error: BaseException, group: ProcessGroup) -> BaseException:
    """The error to raise on this process. Only the first process that failed reports."""
    if late := group.timeout_message(error):
        error = TPError(late)
    elif group.is_peer_loss(error):
        error = TPError("the connection to another process was lost")
    first = isinstance(error, PeerFailedError) or group.first_to_fail()
    return error if first or not isinstance(error, TPError) else PeerFailedError(str(error))
