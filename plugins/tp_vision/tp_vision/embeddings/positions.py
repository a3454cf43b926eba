"""Position embeddings of a grid of patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.linear import draw
from tp_core.options.context import BuildContext
from tp_vision.embeddings.positions_options import PatchPositionConfig, PatchSinusoidalConfig
from tp_vision.facts import GridFacts


def added(sequence: Sequence, leading: Tensor | None, patches: Tensor) -> Sequence:
    """Add positions to a sequence of patches. Registers have no positions.

    Args:
        leading: positions of the leading tokens, (leading tokens, size); None adds nothing to them.
        patches: positions of the patches, (rows × columns, size).
    """
    states = sequence.states
    first = patches[:0] if leading is None else leading
    between = patches.new_zeros(states.shape[1] - first.shape[0] - patches.shape[0], patches.shape[1])
    return sequence.with_states(states + torch.cat([first, between, patches]))


def interpolated(table: Tensor, learned: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Interpolate the positions of one grid to another grid (bicubic, as in ViT).

    Args:
        table: positions of the grid ``learned``, (rows × columns, size).

    Returns:
        Positions of the grid ``grid``, (rows × columns, size).
    """
    if grid == learned:
        return table
    own = table.T.reshape(1, -1, *learned).float()
    found = F.interpolate(own, size=grid, mode="bicubic", align_corners=False)
    return found.squeeze(0).flatten(1).T.to(table.dtype)


class PatchPosition(Embedding):
    """Adds a learned vector to each patch, by its position in the grid, and to each leading token.

    For a picture with another grid, the vectors of patches are interpolated (bicubic, as in ViT). Those of the leading
    tokens are not changed.
    """

    def __init__(self, config: PatchPositionConfig, context: BuildContext) -> None:
        super().__init__()
        grid = context.fact(GridFacts)
        assert grid is not None  # the spec's checks refuse positions without patches
        size = config.embedding_size or context.embedding_size
        self.config, self.leading, self.learned = (
            config,
            grid.leading,
            config.table(grid),
        )
        #: Positions of the leading tokens and of the grid row by row, (leading tokens + rows × columns, size).
        self.table = nn.Parameter(torch.empty(self.leading + self.learned[0] * self.learned[1], size))

    def reset_parameters(self) -> None:
        draw(self.table, self.config.init_std)

    def patches(self, rows: int, columns: int) -> Tensor:
        """Positions of a grid, (rows × columns, size)."""
        return interpolated(self.table[self.leading :], self.learned, (rows, columns))

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        rows, columns = sequence.published["patches"].shape
        return added(sequence, self.table[: self.leading], self.patches(rows, columns))


def sinusoidal_grid(rows: int, columns: int, size: int, device: torch.device) -> Tensor:
    """MAE's fixed positions, (rows × columns, size), float32.

    The first half of a vector encodes the column, the second half encodes the row. Each half consists of the sines and
    then the cosines of ``position · 10000^(-4i/size)`` for i = 0, 1, ..., size / 4 - 1.
    """
    # In float64, as in the original: for large positions, float32 angles have errors above 1e-6.
    frequencies = 10000.0 ** -(torch.arange(size // 4, dtype=torch.float64, device=device) / (size / 4))

    def encoded(count: int) -> Tensor:
        angles = torch.arange(count, dtype=torch.float64, device=device).unsqueeze(1) * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).float()

    across = encoded(columns).unsqueeze(0).expand(rows, -1, -1)
    down = encoded(rows).unsqueeze(1).expand(-1, columns, -1)
    return torch.cat([across, down], dim=-1).flatten(0, 1)


class PatchSinusoidal(Embedding):
    """Adds fixed sines and cosines of column and row to each patch; tokens before the patches are not changed."""

    def __init__(self, config: PatchSinusoidalConfig, context: BuildContext) -> None:
        super().__init__()
        self.size = context.embedding_size

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        rows, columns = sequence.published["patches"].shape
        table = sinusoidal_grid(rows, columns, self.size, sequence.states.device)
        return added(sequence, None, table.to(sequence.states.dtype))
