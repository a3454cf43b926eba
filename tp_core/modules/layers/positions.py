"""Positions that belong to attention: rotary, relative buckets, ALiBi."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tp_core.interfaces import Module
from tp_core.modules.layers.linear import Embedding

Rotation = tuple[Tensor, Tensor]


def rotary_angles(positions: Tensor, size: int, theta: float, interleaved: bool, dtype: torch.dtype) -> Rotation:
    """Cosines and sines of the rotary embedding (Su et al., 2021), computed in float32.

    Args:
        positions: (batch or 1, length).
        size: number of rotated channels of a head.

    Returns:
        Two tensors (batch or 1, 1, length, size).
    """
    steps = torch.arange(0, size, 2, dtype=torch.float32, device=positions.device)
    angles = positions.to(torch.float32).unsqueeze(-1) * theta ** (-steps / size)
    angles = angles.repeat_interleave(2, dim=-1) if interleaved else torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype).unsqueeze(1), angles.sin().to(dtype).unsqueeze(1)


def rotate(heads: Tensor, rotation: Rotation, interleaved: bool) -> Tensor:
    """Rotate queries or keys (batch, heads, length, head size); channels past the rotation's size stay."""
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


class RelativePositionBias(Module):
    """Learned bias per head and bucketed distance (T5; Raffel et al., 2020)."""

    def __init__(self, heads: int, buckets: int, max_distance: int, bidirectional: bool, std: float) -> None:
        super().__init__()
        self.buckets, self.max_distance, self.bidirectional = buckets, max_distance, bidirectional
        self.bias = Embedding(buckets, heads, std=std)

    def bucket(self, distance: Tensor) -> Tensor:
        """Bucket of each signed distance (key position minus query position)."""
        buckets = self.buckets
        result = torch.zeros_like(distance)
        if self.bidirectional:
            buckets //= 2
            result = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = -distance.clamp(max=0)
        exact = buckets // 2
        ratio = torch.log(distance.float().clamp(min=1) / exact) / math.log(self.max_distance / exact)
        far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
        return result + torch.where(distance < exact, distance, far)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Bias (batch or 1, heads, queries, keys) for positions (batch or 1, queries) and (batch or 1, keys)."""
        bias: Tensor = self.bias(self.bucket(keys.unsqueeze(-2) - queries.unsqueeze(-1)))
        return bias.permute(0, 3, 1, 2)


def alibi_slopes(heads: int) -> Tensor:
    """One slope per head (Press et al., 2022), (heads,); numbers of heads that are no power of two as in BLOOM."""

    def powers(n: int) -> list[float]:
        start = 2.0 ** (-8.0 / n)
        return [start ** (i + 1) for i in range(n)]

    closest = 2 ** math.floor(math.log2(heads))
    slopes = powers(closest)
    if closest != heads:
        slopes += powers(2 * closest)[0::2][: heads - closest]
    return torch.tensor(slopes)


class AlibiBias(Module):
    """Linear bias by distance, with no parameters (ALiBi; Press et al., 2022)."""

    slopes: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.register_buffer("slopes", torch.empty(heads), persistent=False)

    def reset_parameters(self) -> None:
        nn.Module.__setattr__(self, "slopes", alibi_slopes(self.heads).to(self.slopes.device))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Bias (batch or 1, heads, queries, keys)."""
        distance = (keys.unsqueeze(-2) - queries.unsqueeze(-1)).abs().unsqueeze(1)
        return -distance * self.slopes.view(1, -1, 1, 1)
