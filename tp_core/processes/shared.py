"""The processes that share the records of one call, as torchrun starts them. Torch-free until they meet."""

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

#: Seconds within which all processes must be there at the start.
_START = 300.0

#: Seconds that a process waits for others that compute their share.
_LIMIT = 3600.0

Item = TypeVar("Item")
Value = TypeVar("Value")


def world_size() -> int:
    """The number of processes that torchrun has started together, this one included."""
    return launch().world_size


class Processes:
    """The processes that share the work of a call; without a group one, which does it all.

    Every process makes the same calls in the same order, as each waits for the others.

    Args:
        group: of the processes, which have joined it.
    """

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self.group = group
        self.rank = 0 if group is None else group.rank
        self.count = 1 if group is None else group.world_size

    @property
    def first(self) -> bool:
        """True if this is the process that reads what all have done, writes and speaks."""
        return self.rank == 0

    def device(self, wanted: str) -> torch.device:
        """The device of this process: of several on a machine, each has a CUDA device of its own as far as they go.

        Args:
            wanted: ``auto``, ``cpu`` or ``cuda``.
        """
        import torch

        from tp_core.processes.devices import pick_device

        found = pick_device(wanted, launch().local_rank % max(1, torch.cuda.device_count()))
        if found.type == "cuda" and self.group is not None:
            torch.cuda.set_device(found)  # for kernels that do not look where their tensors are
        return found

    def collect(self, value: Value) -> list[Value]:
        """The values of all processes, in their order, on the first; nothing on the others."""
        return [value] if self.group is None else self.group.collect(value)

    def from_first(self, value: Value) -> Value:
        """The first process's value, on every process, however long it takes."""
        if self.group is None:
            return value
        with self._patient():
            found: Value = self.group.from_first(value)
        return found

    def first_then_others(self, work: Callable[[], Value]) -> Value:
        """The result of work that leaves a file behind, which the other processes then find, on the same disk."""
        if self.group is None:
            return work()
        found = [work()] if self.first else []
        with self._patient():
            self.group.barrier()
        return found[0] if found else work()

    @contextlib.contextmanager
    def _patient(self) -> Iterator[None]:
        """A context of waiting for what one process does alone, such as preparing data."""
        assert self.group is not None
        self.group.limit_waits(None)
        try:
            yield
        finally:
            self.group.limit_waits(_LIMIT)

    def need_same(self, value: str, what: str) -> None:
        """Raise a :class:`TPError` where processes have different values: their results would not belong together.

        Args:
            what: differs, in the plural: ``the weights of the model``.
        """
        if self.group is None:
            return
        values = self.group.gather(value)
        other = next((rank for rank, each in enumerate(values) if each != values[0]), 0)
        if other:
            raise TPError(f"{what} differ between process 0 and process {other}; all processes need the same files")

    def mapped(self, function: Callable[[Item], Value], items: Iterable[Item], each: int = 16) -> Iterator[list[Value]]:
        """``function`` of each item, computed by one of the processes each.

        Args:
            items: the same on every process.
            each: most items that one of several processes computes between two exchanges.

        Yields:
            After every exchange the results of the items since the one before, in order; on other processes than the
            first, an empty list.
        """
        source = iter(items)
        while turn := list(islice(source, each * self.count if self.count > 1 else 1)):
            shares = self.collect([function(item) for item in turn[self.rank :: self.count]])
            yield [shares[number % self.count][number // self.count] for number in range(len(turn))] if shares else []


#: One process, which does all the work.
ALONE = Processes()


@contextlib.contextmanager
def shared() -> Iterator[Processes]:
    """A context in which the processes that torchrun has started share work; one process otherwise.

    An error of one process ends all: the first to fail raises it, the others :class:`~tp_core.errors.PeerFailedError`.
    At the end, each waits until all have come there.

    Raises:
        TPError: the process has a process group already.
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
        group.join("cpu")  # results are exchanged on the CPU, wherever they are computed
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
    """The error as it is to be raised here: of several processes one speaks."""
    if late := group.timeout_message(error):
        error = TPError(late)
    elif group.is_peer_loss(error):
        error = TPError("the connection to another process was lost")
    first = isinstance(error, PeerFailedError) or group.first_to_fail()
    return error if first or not isinstance(error, TPError) else PeerFailedError(str(error))
