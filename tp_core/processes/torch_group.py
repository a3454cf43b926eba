"""Processes started by torchrun, joined by torch.distributed: gloo on the CPU, NCCL between GPUs."""

from __future__ import annotations

import contextlib
import gc
import sys
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from tp_core.errors import TPError
from tp_core.processes.devices import pick_device
from tp_core.processes.group import ProcessGroup
from tp_core.processes.joining import joined_store
from tp_core.processes.launch import launch
from tp_core.processes.waits import Waits, answer

#: Parts of error messages for an ended process; gloo raises plain RuntimeErrors.
_LOST = ("connection closed by peer", "connection reset by peer", "broken pipe", "gloo", "nccl")

#: Maximum time to wait for live processes, such as the first one while it prepares the data.
_PATIENCE = timedelta(days=1)

#: Groups with unfinished work. They are kept, as torch would wait for the work when it destroys them.
_left: list[Any] = []

#: Groups of the last run. If a module of torch, such as DistributedDataParallel, had the last reference to one, its
#: destruction could wait forever for a thread that waits for Python's lock. References of Python release the lock.
_ended: list[Any] = []


def release_ended() -> None:
    """Release the groups of runs that have ended; only after the modules that used them are gone."""
    if _ended:
        gc.collect()
        _ended.clear()


class Collectives(ProcessGroup):
    """Exchange of values in a process group of torch.

    Args:
        group: the group; None for that of all processes.
        first: rank among all processes of the group's first one.
    """

    def __init__(self, group: Any = None, first: int = 0) -> None:
        self._group, self._first = group, first
        self._waits = Waits()

    def all_reduce(self, values: Tensor) -> Tensor:
        dist.all_reduce(values, group=self._group)
        return values

    def broadcast(self, values: Tensor) -> None:
        dist.broadcast(values, self._first, group=self._group)

    def maximum(self, number: int) -> int:
        votes = torch.tensor([number])
        self._waits.until_done(dist.all_reduce(votes, op=dist.ReduceOp.MAX, group=self._group, async_op=True))
        return int(votes.item())

    # Torch's exchange of objects blocks signals while it waits; a vote does not.

    def gather(self, value: Any) -> list[Any]:
        self.barrier()
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group=self._group)
        return values

    def collect(self, value: Any) -> list[Any]:
        self.barrier()
        values: list[Any] | None = [None] * self.world_size if self.rank == 0 else None
        dist.gather_object(value, values, self._first, group=self._group)
        return values or []

    def from_first(self, value: Any) -> Any:
        self.barrier()
        held = [value if self.rank == 0 else None]
        dist.broadcast_object_list(held, self._first, group=self._group)
        return held[0]

    def barrier(self) -> None:
        self.agree(False)


class TorchGroup(Collectives):
    """The processes that torchrun has started together.

    Args:
        start_timeout: seconds within which all processes must have joined.
        option: option with this time, for messages; empty outside a run.
        strategy: name of the strategy, for messages.

    Raises:
        TPError: the environment variables are inconsistent.
    """

    def __init__(self, start_timeout: float, option: str = "", strategy: str = "ddp") -> None:
        super().__init__()
        self._here, self._start_timeout, self._option, self._strategy = launch(), start_timeout, option, strategy
        self.rank, self.world_size = self._here.rank, self._here.world_size
        self._notes: Any = None  # a store that outlives the connections between processes
        self._joined = False
        self._state_group: Any = None
        self._device_before: int | None = None
        self._excepthook = sys.excepthook
        self._parts: list[Part] = []

    def join(self, device: str) -> torch.device:
        if not self._here.meeting:
            raise TPError(
                f"train.strategy: {self._strategy} needs several processes: tp train SPEC --nproc 2, or "
                "torchrun --nproc-per-node 2 -m tp_core -- train SPEC"
            )
        if dist.is_initialized():
            raise TPError(
                f"train.strategy: {self._strategy} makes a process group of its own, and this process has one already; "
                "destroy it first (torch.distributed.destroy_process_group)"
            )
        release_ended()
        store = joined_store(self._here, self._start_timeout, self._option)
        store.set_timeout(_PATIENCE)
        self._notes = dist.PrefixStore("notes", store)  # type: ignore[attr-defined]
        found = pick_device(device, self._here.local_rank)
        if found.type == "cuda":
            self._device_before = torch.cuda.current_device()
            torch.cuda.set_device(found)
        # Flags and barriers use gloo, so that they never make the device wait.
        self._backend = "cpu:gloo,cuda:nccl" if found.type == "cuda" else "gloo"
        dist.init_process_group(self._backend, store=store, rank=self.rank, world_size=self.world_size)
        self._waits = Waits(self._notes, self.rank, self.world_size, "train.timeout" if self._option else "")
        self.limit_waits(None)
        self._joined = True
        return found

    def leave(self) -> None:
        # An error's traceback would keep the connection to the store open.
        left, self._notes, self._waits, self._state_group = self._waits.left, None, Waits(), None
        self._parts = []
        try:
            if self._joined:
                self._joined = False
                (_left if left else _ended).extend(dist.distributed_c10d._world.pg_map)
                dist.destroy_process_group()
        finally:
            sys.excepthook = self._excepthook  # a process group replaces the hook
            if self._device_before is not None:
                torch.cuda.set_device(self._device_before)

    def limit_waits(self, seconds: float | None) -> None:
        # NCCL only waits for gradients and keeps torch's own limit, since the host waits for a vote before each step.
        assert dist.group.WORLD is not None
        limit = _PATIENCE if seconds is None else timedelta(seconds=seconds)
        # A strategy's own groups, too: its processes wait in them for parts of weights and gradients.
        for group in list(dist.distributed_c10d._world.pg_map):
            with contextlib.suppress(RuntimeError):  # one of GPUs only
                group._get_backend(torch.device("cpu"))._set_default_timeout(limit)
        self._waits.limit = seconds

    def divided(self, parts: list[list[int]]) -> Part:
        """Make groups of some processes; returns that of this process. All processes call this together.

        Args:
            parts: ranks of each group.
        """
        for ranks in parts:
            group = dist.new_group(ranks, backend=self._backend)
            if self.rank in ranks:
                self._parts.append(Part(group, ranks, ranks.index(self.rank), self._waits))
        return self._parts[-1]

    def state_group(self) -> Any:
        if self._state_group is None:
            self._state_group = dist.new_group(backend="gloo")
        limit = _PATIENCE if self._waits.limit is None else timedelta(seconds=self._waits.limit)
        self._state_group._get_backend(torch.device("cpu"))._set_default_timeout(limit)
        return self._state_group

    def notify(self) -> None:
        self._notes.add("calls", 1)

    def notifications(self) -> int:
        return int(self._notes.add("calls", 0))

    def first_to_fail(self) -> bool:
        if self._notes is None:
            return True
        failures = answer(lambda: int(self._notes.add("failures", 1)))
        return failures in (1, None)  # None: the process that hosts the store has ended

    def is_peer_loss(self, error: BaseException) -> bool:
        return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _LOST)

    def timeout_message(self, error: BaseException) -> str:
        return self._waits.told(error) if self._joined else ""


class Part(Collectives):
    """Some of the processes of a :class:`TorchGroup`.

    Attributes:
        group: the process group of torch.
    """

    def __init__(self, group: Any, ranks: list[int], rank: int, waits: Waits) -> None:
        super().__init__(group, ranks[0])
        self.group, self._waits = group, waits
        self.rank, self.world_size = rank, len(ranks)
