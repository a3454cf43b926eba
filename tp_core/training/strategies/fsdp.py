"""Fully sharded data parallelism with torch's ``fully_shard`` (FSDP2; Zhao et al., 2023)."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from tp_core.errors import TPError
from tp_core.interfaces import Module
from tp_core.model import Model
from tp_core.processes.data_parallel import set_data_parallel
from tp_core.processes.group import ProcessGroup
from tp_core.processes.torch_group import TorchGroup
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.strategies.base import Applied, Strategy
from tp_core.training.strategies.fsdp_entry import Used, enter_by, joined_weights, reduce_unused
from tp_core.training.strategies.fsdp_options import FsdpConfig, TensorParallelConfig
from tp_core.training.strategies.recurrent_weights import follow_weights
from tp_core.training.strategies.tensor_parallel import Division

#: Methods of a model, besides its forward pass, that use weights.
_METHODS = ("encode", "encode_source", "losses_of", "predict", "predictions_of")

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class FsdpStrategy(Strategy):
    """Every process holds a part of each weight, its gradient and its optimizer state, and joins a layer's weights.

    With hybrid sharding, the processes of a group divide the weights among them, and each group has all of them. With
    tensor parallelism, groups of processes compute each sample together, and take the place of a process.

    Args:
        name: name of the strategy, for messages.

    Raises:
        TPError: the environment variables are inconsistent.
    """

    replicated = False

    def __init__(self, config: FsdpConfig, name: str = "fsdp") -> None:
        super().__init__()
        self.config, self._name = config, f"train.strategy.{name}"
        self.processes: TorchGroup = TorchGroup(config.start_timeout, f"{self._name}.start_timeout", name)
        self._sharing: ProcessGroup = self.processes
        self._division: Division | None = None
        self._cleanup = contextlib.ExitStack()
        self._before_backward: Callable[[Tensor], None] = lambda loss: None

    @property
    def data_parallel(self) -> ProcessGroup:
        return self._sharing

    def setup(self, options: TrainOptions) -> None:
        super().setup(options)
        self._cleanup.enter_context(warnings.catch_warnings())
        # Modules return views, and nothing changes their results in place.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
        # Weights that two dimensions of the mesh divide are joined in two passes.
        logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
        together = self.config.tensor_parallel
        if self.world_size % together:
            raise TPError(
                f"{self._name}: {self.world_size} processes cannot be divided into groups of {together}, which compute "
                "each sample together"
            )
        count = self.world_size // together
        if self.config.cpu_offload and count == 1 and together > 1:
            raise TPError(
                f"{self._name}.cpu_offload: needs more than {together} processes, since those that compute each sample "
                "together keep their weights on the device"
            )
        shards = self.config.shards(count, together)
        if count % shards:
            raise TPError(f"{self._name}.group_size: {count} processes cannot be divided into groups of {shards}")
        # Neighbours, which are nearest to each other, exchange most.
        shape = (count // shards, shards, together)
        self.mesh = init_device_mesh(self.device.type, shape, mesh_dim_names=("replicate", "shard", "tensor"))
        if together > 1:
            columns = [list(range(index, self.world_size, together)) for index in range(together)]
            self._sharing = self.processes.divided(columns)
            set_data_parallel(self._sharing)

    def teardown(self) -> None:
        self._cleanup.close()
        set_data_parallel(None)
        super().teardown()

    # -- the model ---------------------------------------------------------------------------------------------

    def shard(self, model: Model) -> None:
        if self.config.tensor_parallel > 1:
            self._division = Division(model, self.mesh["tensor"])
        if self.data_parallel.world_size > 1 or self.config.tensor_parallel == 1:
            self._fully_shard(model)
        follow_weights(model)

    def _fully_shard(self, model: Model) -> None:
        # On a CPU, norms and other layers take no mixture of precisions.
        lower = _DTYPES.get(self.options.precision) if self.device.type == "cuda" else None
        reduce = torch.float32 if lower is None or self.config.reduce_precision == "fp32" else lower
        precision = MixedPrecisionPolicy(lower, None if lower is None else reduce, cast_forward_inputs=False)
        # Pinned memory needs CUDA.
        offload = CPUOffloadPolicy(self.device.type == "cuda") if self.config.cpu_offload else OffloadPolicy()
        whole = {p for p in model.parameters() if p.dim() == 0}  # fully_shard divides the first dimension
        mesh = self.mesh["shard"] if self.mesh.shape[0] == 1 else self.mesh["replicate", "shard"]
        given: dict[str, Any] = {"mesh": mesh, "mp_policy": precision, "offload_policy": offload}
        divided: set[int] = set()
        for module in model.modules():
            layers = list(module.repeated_layers()) if isinstance(module, Module) else []
            for layer in layers:
                if id(layer) in divided:
                    continue
                divided.add(id(layer))
                # The gradients of the last layer are computed next, so that its weights stay.
                keep = layer is layers[-1] or not self.config.reshard_after_forward
                fully_shard(layer, reshard_after_forward=not keep, ignored_params=whole, **given)
        # The root's weights stay while the targets and hooks use them.
        fully_shard(model, ignored_params=whole, reshard_after_forward=False, **given)
        enter_by(model, _METHODS)
        self._before_backward = reduce_unused(model)

    def notes(self) -> list[str]:
        if self._division is None or not self._division.whole:
            return []
        whole = ", ".join(self._division.whole)
        return [f"{self._name}: these modules are not divided, and each process computes them whole: {whole}"]

    def part(self, values: Tensor, like: Tensor) -> Tensor:
        if not isinstance(like, DTensor):
            return values
        found: Tensor = distribute_tensor(
            values.to(device=like.device, dtype=like.dtype), like.device_mesh, like.placements, src_data_rank=None
        )
        return found

    def whole(self, tensor: Tensor) -> Tensor:
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def place(self, model: Model, seed: int) -> None:
        self.shard(model)
        model.materialise("cpu" if self.config.cpu_offload else self.device).initialise(seed, self.part)
        for module in model.modules() if self.config.cpu_offload else ():
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else buffer.to(self.device)
        self._used = Used()
        for name, weight in joined_weights(model):
            if weight.requires_grad:
                self._used.watch(name, weight)
                if self._division is not None:
                    self._division.sum_gradient(name, weight)

    # -- one step ----------------------------------------------------------------------------------------------

    def gradient(self, parameter: nn.Parameter) -> Tensor | None:
        if isinstance(parameter, DTensor):
            return super().gradient(parameter)
        found = parameter.grad
        if not self.data_parallel.agree(found is not None):
            return None
        found = torch.zeros_like(parameter) if found is None else found.detach().clone()
        found = self.data_parallel.all_reduce(found) / self.data_parallel.world_size
        return found if self._scale is None else found / self._scale

    def norm(self, tensors: list[Tensor]) -> Tensor:
        if not tensors:
            return torch.zeros((), device=self.device)
        parts = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
        copies = torch.tensor([self._copies(tensor) for tensor in tensors], dtype=torch.float64)
        norms = torch.stack(torch._foreach_norm(parts)).double()
        squares = (norms.square() / copies.to(norms.device, non_blocking=True)).sum()
        return self.processes.all_reduce(squares).sqrt().float()

    def _copies(self, tensor: Tensor) -> int:
        """Number of processes that have the same part of a tensor."""
        if not isinstance(tensor, DTensor):
            return self.world_size
        shares = zip(tensor.placements, tensor.device_mesh.shape)
        return self.world_size // math.prod(size for placement, size in shares if not placement.is_replicate())

    def backward(self, loss: Tensor) -> None:
        self._before_backward(loss)
        super().backward(loss)

    def apply(self, lr: float) -> Applied:
        used = self.processes.all_reduce(self._used.take()).tolist()
        named = dict(zip(self._used.names, used))
        whole = []
        for group in self.optimizer.param_groups:
            for name, weight in zip(group["param_names"], group["params"]):
                if not named[name]:
                    weight.grad = None
                elif not isinstance(weight, DTensor):
                    weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                    whole.append(weight.grad)
        if whole and self.data_parallel.world_size > 1:  # fully_shard leaves them alone
            mean = self.data_parallel.all_reduce(torch.stack(whole)) / self.data_parallel.world_size
            torch._foreach_copy_(whole, list(mean.unbind()))
        return super().apply(lr)


class TensorParallelStrategy(FsdpStrategy):
    """Processes compute each sample together; groups of them divide samples and weights like ``fsdp``."""

    def __init__(self, config: TensorParallelConfig) -> None:
        super().__init__(config.as_fsdp(), "tensor_parallel")
