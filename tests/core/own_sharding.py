"""A strategy as a plugin would write it: FSDP2's fully_shard cuts the weights, two processes or more."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from tp_core import Model, Strategy, StrategyConfig
from tp_core.processes.torch_group import TorchGroup


class ShardingConfig(StrategyConfig):
    """Weights, gradients and the optimizer's state in parts, one for each process."""

    implementation: ClassVar[str] = "own_sharding:ShardingStrategy"

    def build(self) -> Strategy:
        return ShardingStrategy(self)


class ShardingStrategy(Strategy):
    replicated = False

    def __init__(self, config: ShardingConfig) -> None:
        super().__init__()
        self.config = config
        self.processes = TorchGroup(60, "start_timeout", "sharding")
        self.model: Any = None

    def shard(self, model: Model) -> None:
        mesh = init_device_mesh(self.device.type, (self.world_size,))
        self.model = fully_shard(model, mesh=mesh)
        for method in ("encode", "predict"):
            register_fsdp_forward_method(self.model, method)

    def weights(self, model: Model) -> dict[str, Tensor]:
        self.model.reshard()  # after an evaluation, they are still joined
        return super().weights(model)

    def part(self, values: Tensor, like: Tensor) -> Tensor:
        if not isinstance(like, DTensor):
            return values
        return distribute_tensor(values.to(like.dtype), like.device_mesh, like.placements, src_data_rank=None)

    def whole(self, tensor: Tensor) -> Tensor:
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def norm(self, tensors: list[Tensor]) -> Tensor:
        return self.whole(super().norm(tensors))
