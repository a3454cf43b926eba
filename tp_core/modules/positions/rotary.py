"""Rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces.layer_parts import Positions, PositionTable, PositionValues, StackPass
from tp_core.modules.positions.rotary_options import RotaryConfig
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts

#: Cosines and sines, (batch or 1, 1, length, rotated channels) each.
Rotation = tuple[Tensor, Tensor]


class RotaryAngles(PositionTable):
    """Cosines and sines of the positions, computed in float32."""

    frequencies: Tensor

    def __init__(self, config: RotaryConfig, context: BuildContext) -> None:
        super().__init__()
        heads = context.fact(HeadFacts)
        assert heads is not None
        self.interleaved, self.values = config.interleaved, config.frequencies(heads.size)
        self.register_buffer("frequencies", torch.empty(len(self.values), dtype=torch.float32), persistent=False)

    def reset_parameters(self) -> None:
        values = torch.tensor(self.values, dtype=torch.float32, device=self.frequencies.device)
        torch.nn.Module.__setattr__(self, "frequencies", values)

    def forward(self, run: StackPass) -> PositionValues:
        angles = run.positions.to(torch.float32).unsqueeze(-1) * self.frequencies
        angles = angles.repeat_interleave(2, dim=-1) if self.interleaved else torch.cat([angles, angles], dim=-1)
        dtype = run.sequence.states.dtype
        return PositionValues((angles.cos().to(dtype).unsqueeze(1), angles.sin().to(dtype).unsqueeze(1)))


class Rotary(Positions):
    """Rotation of queries and keys by the angles of their positions."""

    def __init__(self, config: RotaryConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.interleaved = config.interleaved

    def any_heads(self) -> bool:
        return True

    def rotate(self, queries: Tensor, keys: Tensor, values: Rotation) -> tuple[Tensor, Tensor]:
        return rotated(queries, values, self.interleaved), rotated(keys, values, self.interleaved)


def rotated(heads: Tensor, rotation: Rotation, interleaved: bool) -> Tensor:
    """Rotate queries or keys (batch, heads, length, head size); channels beyond those of ``rotation`` do not change."""
    cos, sin = rotation
    size = cos.shape[-1]
    turned, kept = heads[..., :size], heads[..., size:]
    if interleaved:
        other = torch.stack([-turned[..., 1::2], turned[..., 0::2]], dim=-1).flatten(-2)
    else:
        first, second = turned.chunk(2, dim=-1)
        other = torch.cat([-second, first], dim=-1)
    turned = turned * cos + other * sin
    return turned if kept.shape[-1] == 0 else torch.cat([turned, kept], dim=-1)
