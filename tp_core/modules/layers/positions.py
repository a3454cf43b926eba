"""Positions that belong to attention: rotary, relative buckets, ALiBi."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.errors import TPError
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


def grid_offsets(rows: int, columns: int, length: int, device: torch.device) -> Tensor:
    """Rows of a :class:`GridBias` table, (length, length) by query and key; the grid stands at the sequence's end.

    All offsets of two patches come first; the last three rows are of a leading token and a patch, of a patch and a
    leading token, and of two leading tokens.

    Raises:
        TPError: the sequence is shorter than the grid.
    """
    lead = length - rows * columns
    if lead < 0:
        raise TPError(f"a sequence of {length} positions holds no grid of {rows} x {columns} patches")
    down, across = (torch.arange(n, device=device) for n in (rows, columns))
    down, across = (each.flatten() for each in torch.meshgrid(down, across, indexing="ij"))
    offsets = (down[:, None] - down + rows - 1) * (2 * columns - 1) + across[:, None] - across + columns - 1
    last = (2 * rows - 1) * (2 * columns - 1)
    index = F.pad(offsets, (lead, 0, lead, 0), value=last)
    index[lead:, :lead] = last + 1
    index[:lead, :lead] = last + 2
    return index


class GridBias(Module):
    """Learned bias per head and offset of two patches in a grid, zero at first (BEiT; Bao et al., 2022).

    A picture with another grid than ``grid``, (rows, columns), gets biases interpolated between the learned ones.
    """

    def __init__(self, heads: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.offsets = (2 * grid[0] - 1, 2 * grid[1] - 1)
        self.bias = Embedding(self.offsets[0] * self.offsets[1] + 3, heads, std=0.0)

    def forward(self, grid: tuple[int, int], length: int) -> Tensor:
        """Bias (1, heads, length, length) of a sequence that ends with the patches of ``grid``."""
        table = self.bias.weight
        if grid != self.grid:
            learned = table[:-3].view(*self.offsets, -1).permute(2, 0, 1).unsqueeze(0).float()
            wanted = F.interpolate(learned, size=(2 * grid[0] - 1, 2 * grid[1] - 1), mode="bilinear")
            table = torch.cat([wanted.squeeze(0).flatten(1).T.to(table.dtype), table[-3:]])
        return table[grid_offsets(*grid, length, table.device)].permute(2, 0, 1).unsqueeze(0)


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
