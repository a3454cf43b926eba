"""Data parallelism with torch's DistributedDataParallel, started by torchrun."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tp_core.errors import TPError
from tp_core.model import Model, ModelOutput
from tp_core.processes.joining import joined_store
from tp_core.processes.launch import launch
from tp_core.processes.waits import Waits, answer
from tp_core.training.strategies.base import Strategy, pick_device
from tp_core.training.strategies.loss_alone import LossAlone, forgo_warning
from tp_core.training.strategies.options import DdpConfig

#: What an error says when another process is gone: gloo raises plain RuntimeErrors.
_LOST = ("connection closed by peer", "connection reset by peer", "broken pipe", "gloo", "nccl")

#: How long a process waits for others that live, such as the first one, which prepares the data.
_PATIENCE = timedelta(days=1)

#: Groups with work that never ended. Torch would wait for it when it takes them apart.
_left: list[Any] = []

#: What torch says of ``static_graph`` where steps do not train the same parameters.
_NOT_STATIC = ("training graph has changed", "static_graph set to True")


class DdpStrategy(Strategy):
    """Every process holds the model; gradients are averaged during the last backward pass of a step.

    Args:
        limit: the option that ``start_timeout`` is given by, for messages; empty where the processes are no run's.

    Raises:
        TPError: the environment does not say rightly which process this is.
    """

    def __init__(self, config: DdpConfig, limit: str = "train.strategy.ddp.start_timeout") -> None:
        self.config, self._limit, self._here = config, limit, launch()
        self.rank, self.world_size = self._here.rank, self._here.world_size
        self._notes: Any = None  # values that outlive the connections between processes
        self._joined = False
        self._device_before: int | None = None
        self._excepthook = sys.excepthook
        self._parameters: list[tuple[str, nn.Parameter]] = []
        self._waits = Waits()
        self._untrained: list[bool] | None = None  # of static_graph: which of them had no gradient at the first step

    def setup(self, device: str) -> None:
        if not self._here.meeting:
            raise TPError("train.strategy: ddp needs torchrun: torchrun --nproc-per-node 2 -m tp_core -- train SPEC")
        if dist.is_initialized():
            raise TPError(
                "train.strategy: ddp makes a process group of its own, and this process has one already; destroy it "
                "first (torch.distributed.destroy_process_group)"
            )
        store = joined_store(self._here, self.config.start_timeout, self._limit)
        store.set_timeout(_PATIENCE)
        self._notes = dist.PrefixStore("notes", store)  # type: ignore[attr-defined]
        self.device = pick_device(device, self._here.local_rank)
        if self.device.type == "cuda":
            self._device_before = torch.cuda.current_device()
            torch.cuda.set_device(self.device)
        # Flags and barriers go over gloo, so that they never make the device wait.
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world_size)
        self._waits = Waits(self._notes, self.rank, self.world_size, "train.timeout" if self._limit else "")
        self.limit_waits(None)
        self._joined = True

    def limit_waits(self, seconds: float | None) -> None:
        # Of NCCL, which waits for gradients only, torch's own limit stays: the host waits for a vote before each step.
        assert dist.group.WORLD is not None
        limit = _PATIENCE if seconds is None else timedelta(seconds=seconds)
        dist.group.WORLD._get_backend(torch.device("cpu"))._set_default_timeout(limit)
        self._waits.limit = seconds

    def wrap(self, model: Model) -> nn.Module:
        self._parameters = list(model.named_parameters())
        if not self.config.static_graph:
            forgo_warning()
        return DistributedDataParallel(
            LossAlone(model),
            device_ids=[self.device] if self.device.type == "cuda" else None,
            bucket_cap_mb=self.config.bucket_mb,
            gradient_as_bucket_view=True,
            static_graph=self.config.static_graph,
            # A batch need not reach all parameters: targets and streams that it has nothing for, parts that no target
            # reads, branches that depend on the data. To look takes 0.3 ms of a step of a BERT-base.
            find_unused_parameters=not self.config.static_graph,
        )

    def forward(self, module: nn.Module, batch: Any, denominators: dict[str, Tensor] | None) -> ModelOutput:
        assert isinstance(module, DistributedDataParallel)
        assert isinstance(module.module, LossAlone)
        loss = module(batch, denominators)
        return replace(module.module.take(), loss=loss)

    def forward_backward(
        self, module: nn.Module, batch: Any, denominators: dict[str, Tensor] | None, last: bool, scale: Tensor | None
    ) -> ModelOutput:
        if not self.config.static_graph:
            return super().forward_backward(module, batch, denominators, last, scale)
        try:
            output = super().forward_backward(module, batch, denominators, last, scale)
        except RuntimeError as error:
            if any(sign in str(error) for sign in _NOT_STATIC):
                raise _not_static("the weights that have a gradient are others") from error
            raise
        if last:
            untrained = [parameter.grad is None for _, parameter in self._parameters]
            self._untrained = self._untrained or untrained
            if untrained != self._untrained:
                pairs = zip(self._parameters, untrained, self._untrained)
                name = next(name for (name, _), now, before in pairs if now != before)
                raise _not_static(f"'{name}' has a gradient in one of them only")
        return output

    def sync_buffers(self, model: Model) -> None:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        assert isinstance(module, DistributedDataParallel)
        if self.config.static_graph and self._untrained is None:
            # Torch learns the graph from the first backward pass, which has to be one that averages. What is averaged
            # already, the next pass leaves as it is.
            return contextlib.nullcontext()
        return module.no_sync()

    def all_reduce(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values

    def most(self, number: int) -> int:
        votes = torch.tensor([number])
        self._waits.until_done(dist.all_reduce(votes, op=dist.ReduceOp.MAX, async_op=True))
        return int(votes.item())

    def call(self) -> None:
        self._notes.add("calls", 1)

    def calls(self) -> int:
        return int(self._notes.add("calls", 0))

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

    def first_to_fail(self) -> bool:
        if self._notes is None:
            return True
        failures = answer(lambda: int(self._notes.add("failures", 1)))
        return failures in (1, None)  # None: the process that kept the notes is gone

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _LOST)

    def stalled(self, error: BaseException) -> str:
        return self._waits.told(error) if self._joined else ""

    def barrier(self) -> None:
        self.agree(False)

    def teardown(self) -> None:
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


def _not_static(found: str) -> TPError:
    return TPError(
        "train.strategy.ddp.static_graph: true promises that every step trains the same parameters, and this step does "
        f"not train those of the first one ({found}); leave static_graph out"
    )
