"""Normalisation layers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.modules.norms.options import LayerNormConfig, RMSNormConfig


class LayerNorm(nn.LayerNorm):
    """Layer normalisation over the last dimension."""

    def __init__(self, config: LayerNormConfig, size: int) -> None:
        super().__init__(size, eps=config.eps, bias=config.bias)


class RMSNorm(nn.RMSNorm):
    """Division by the root mean square of the last dimension, then multiplication by a weight, or by 1 + the weight."""

    def __init__(self, config: RMSNormConfig, size: int) -> None:
        self.offset = config.offset
        super().__init__(size, eps=config.eps)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, 0.0 if self.offset else 1.0)

    def forward(self, states: Tensor) -> Tensor:
        weight = 1 + self.weight if self.offset else self.weight
        # Under autocast in float32, like layer norms; PyTorch has no fused norm for two precisions.
        return F.rms_norm(states.to(weight.dtype), self.normalized_shape, weight, self.eps)
