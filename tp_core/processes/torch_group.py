"""Processes that torchrun has started, joined by torch.distributed: gloo on the CPU, NCCL between GPUs."""

from __future__ import annotations

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

#: What an error says when another process is gone: gloo raises plain RuntimeErrors.
_LOST = ("connection closed by peer", "connection reset by peer", "broken pipe", "gloo", "nccl")

#: How long a process waits for others that live, such as the first one, which prepares the data.
_PATIENCE = timedelta(days=1)

#: Groups with work that never ended. Torch would wait for it when it takes them apart.
_left: list[Any] = []


class TorchGroup(ProcessGroup):
    """The processes that torchrun has started together.

    Args:
        start_timeout: seconds within which all processes must be there.
        option: the option that gives these seconds, for messages; empty where the processes are no run's.
        strategy: the name of the strategy that they are for, for messages.

    Raises:
        TPError: the environment does not say rightly which process this is.
    """

    def __init__(self, start_timeout: float, option: str = "", strategy: str = "ddp") -> None:
        self._here, self._start_timeout, self._option, self._strategy = launch(), start_timeout, option, strategy
        self.rank, self.world_size = self._here.rank, self._here.world_size
        self._notes: Any = None  # values that outlive the connections between processes
        self._joined = False
        self._device_before: int | None = None
        self._excepthook = sys.excepthook
        self._waits = Waits()

    def join(self, device: str) -> torch.device:
        if not self._here.meeting:
            start = "torchrun --nproc-per-node 2 -m tp_core -- train SPEC"
            raise TPError(f"train.strategy: {self._strategy} needs torchrun: {start}")
        if dist.is_initialized():
            raise TPError(
                f"train.strategy: {self._strategy} makes a process group of its own, and this process has one already; "
                "destroy it first (torch.distributed.destroy_process_group)"
            )
        store = joined_store(self._here, self._start_timeout, self._option)
        store.set_timeout(_PATIENCE)
        self._notes = dist.PrefixStore("notes", store)  # type: ignore[attr-defined]
        found = pick_device(device, self._here.local_rank)
        if found.type == "cuda":
            self._device_before = torch.cuda.current_device()
            torch.cuda.set_device(found)
        # Flags and barriers go over gloo, so that they never make the device wait.
        backend = "cpu:gloo,cuda:nccl" if found.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world_size)
        self._waits = Waits(self._notes, self.rank, self.world_size, "train.timeout" if self._option else "")
        self.limit_waits(None)
        self._joined = True
        return found

    def leave(self) -> None:
        # The connection to the store, which the traceback of an error would keep open.
        left, self._notes, self._waits = self._waits.left, None, Waits()
        try:
            if self._joined:
                self._joined = False
                if left:
                    _left.append(dist.group.WORLD)
                dist.destroy_process_group()
        finally:
            sys.excepthook = self._excepthook  # which a process group replaces
            if self._device_before is not None:
                torch.cuda.set_device(self._device_before)

    def limit_waits(self, seconds: float | None) -> None:
        # Of NCCL, which waits for gradients only, torch's own limit stays: the host waits for a vote before each step.
        assert dist.group.WORLD is not None
        limit = _PATIENCE if seconds is None else timedelta(seconds=seconds)
        dist.group.WORLD._get_backend(torch.device("cpu"))._set_default_timeout(limit)
        self._waits.limit = seconds

    def all_reduce(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values

    def broadcast(self, values: Tensor) -> None:
        dist.broadcast(values, 0)

    def maximum(self, number: int) -> int:
        votes = torch.tensor([number])
        self._waits.until_done(dist.all_reduce(votes, op=dist.ReduceOp.MAX, async_op=True))
        return int(votes.item())

    # Torch's exchange of objects hears no signals while it waits; a vote does.

    def gather(self, value: Any) -> list[Any]:
        self.barrier()
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def collect(self, value: Any) -> list[Any]:
        self.barrier()
        values: list[Any] | None = [None] * self.world_size if self.rank == 0 else None
        dist.gather_object(value, values)
        return values or []

    def from_first(self, value: Any) -> Any:
        self.barrier()
        held = [value if self.rank == 0 else None]
        dist.broadcast_object_list(held)
        return held[0]

    def barrier(self) -> None:
        self.agree(False)

    def notify(self) -> None:
        self._notes.add("calls", 1)

    def notifications(self) -> int:
        return int(self._notes.add("calls", 0))

    def first_to_fail(self) -> bool:
        if self._notes is None:
            return True
        failures = answer(lambda: int(self._notes.add("failures", 1)))
        return failures in (1, None)  # None: the process that kept the notes is gone

    def is_peer_loss(self, error: BaseException) -> bool:
        return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _LOST)

    def timeout_message(self, error: BaseException) -> str:
        return self._waits.told(error) if self._joined else ""
