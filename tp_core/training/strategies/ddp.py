"""Data parallelism with torch's DistributedDataParallel, started by torchrun."""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tp_core.errors import TPError
from tp_core.model import Model
from tp_core.training.config import DdpConfig
from tp_core.training.strategies.base import Strategy, environment, pick_device

#: What an error says when another process is gone: gloo raises plain RuntimeErrors.
_LOST = ("connection closed by peer", "connection reset by peer", "broken pipe", "gloo", "nccl")

#: Numbers of the runs of this process. The store outlives a run, and what one wrote there is none of the next one's.
_runs = itertools.count()


class DdpStrategy(Strategy):
    """Every process holds the model; gradients are averaged during the last backward pass of a step."""

    def __init__(self, config: DdpConfig) -> None:
        self.config = config
        self._notes: Any = None  # values that outlive the connections between processes
        self._joined = False
        self._device_before: int | None = None
        self._excepthook = sys.excepthook

    def setup(self, device: str) -> None:
        if "RANK" not in os.environ:
            raise TPError("train.strategy: ddp needs torchrun: torchrun --nproc-per-node 2 -m tp_core -- train SPEC")
        if dist.is_initialized():
            raise TPError(
                "train.strategy: ddp makes a process group of its own, and this process has one already; destroy it "
                "first (torch.distributed.destroy_process_group)"
            )
        self.rank, self.world_size = environment("RANK", 0), environment("WORLD_SIZE", 1)
        store, _, _ = next(dist.rendezvous("env://", self.rank, self.world_size))  # type: ignore[attr-defined]
        store = dist.PrefixStore(f"tp/{next(_runs)}", store)  # type: ignore[attr-defined]
        self._notes = dist.PrefixStore("notes", store)  # type: ignore[attr-defined]
        self.device = pick_device(device, environment("LOCAL_RANK", 0))
        if self.device.type == "cuda":
            self._device_before = torch.cuda.current_device()
            torch.cuda.set_device(self.device)
        # Flags and barriers go over gloo, so that they never make the device wait.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world_size)
        self._joined = True

    def wrap(self, model: Model) -> nn.Module:
        return DistributedDataParallel(
            model,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            bucket_cap_mb=self.config.bucket_mb,
            gradient_as_bucket_view=True,
            static_graph=self.config.static_graph,
            # A step on one of several data sets leaves out what only the others use.
            find_unused_parameters=bool(model.spec.data.sets),
        )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        assert isinstance(module, DistributedDataParallel)
        return module.no_sync()

    def all_reduce(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values

    def agree(self, flag: bool) -> bool:
        votes = torch.tensor([int(flag)])
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return bool(votes.item())

    def gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def first_to_fail(self) -> bool:
        try:
            return self._notes is None or int(self._notes.add("failures", 1)) == 1
        except RuntimeError:  # the process that kept the notes is gone
            return True

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _LOST)

    def barrier(self) -> None:
        self.agree(False)

    def teardown(self) -> None:
        self._notes = None  # the connection to the store, which the traceback of an error would keep open
        try:
            if self._joined:
                self._joined = False
                dist.destroy_process_group()
        finally:
            sys.excepthook = self._excepthook  # which a process group replaces
            if self._device_before is not None:
                torch.cuda.set_device(self._device_before)
