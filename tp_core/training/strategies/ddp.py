"""Data parallelism with torch's DistributedDataParallel, started by torchrun."""

from __future__ import annotations

import os
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


class DdpStrategy(Strategy):
    """Every process holds the model; gradients are averaged during the last backward pass of a step."""

    def __init__(self, config: DdpConfig) -> None:
        self.config = config
        self._notes: Any = None  # values that outlive the connections between processes

    def setup(self, device: str) -> None:
        if "RANK" not in os.environ:
            raise TPError("train.strategy: ddp needs torchrun: torchrun --nproc-per-node 2 -m tp_core -- train SPEC")
        self.rank, self.world_size = environment("RANK", 0), environment("WORLD_SIZE", 1)
        store, _, _ = next(dist.rendezvous("env://", self.rank, self.world_size))  # type: ignore[attr-defined]
        self._notes = dist.PrefixStore("tp", store)  # type: ignore[attr-defined]
        self.device = pick_device(device, environment("LOCAL_RANK", 0))
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        # Flags and barriers go over gloo, so that they never make the device wait.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world_size)

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
        if dist.is_initialized():
            dist.destroy_process_group()
