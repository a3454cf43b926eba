"""Positions in a grid of patches."""

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
    """A sequence of pictures with positions added.

    Args:
        leading: (leading tokens, size) of the tokens that stand first, or None for nothing. Registers have none.
        patches: (rows × columns, size).
    """
    states = sequence.states
    first = patches[:0] if leading is None else leading
    between = patches.new_zeros(states.shape[1] - first.shape[0] - patches.shape[0], patches.shape[1])
    return sequence.with_states(states + torch.cat([first, between, patches]))


def interpolated(table: Tensor, learned: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """The vectors of a grid's places between those that were learned for the places of another (bicubic, as in ViT).

    Args:
        table: (rows × columns of ``learned``, size).

    Returns:
        (rows × columns of ``grid``, size).
    """
    if grid == learned:
        return table
    own = table.T.reshape(1, -1, *learned).float()
    found = F.interpolate(own, size=grid, mode="bicubic", align_corners=False)
    return found.squeeze(0).flatten(1).T.to(table.dtype)


class PatchPosition(Embedding):
    """Adds a learned vector for each place of the grid and for each leading token.

    Where the grid of a picture is not the learned one, the vectors of its places are interpolated between the learned
    ones (bicubic, as in ViT); those of the leading tokens stay.
    """

    def __init__(self, config: PatchPositionConfig, context: BuildContext) -> None:
        super().__init__()
        grid = context.fact(GridFacts)
        assert grid is not None  # the spec's checks let no positions stand without patches
        size = config.embedding_size or context.embedding_size
        self.config, self.leading, self.learned = (
            config,
            grid.leading,
            config.table(grid),
        )
        #: (leading tokens + rows × columns, size), row by row.
        self.table = nn.Parameter(torch.empty(self.leading + self.learned[0] * self.learned[1], size))

    def reset_parameters(self) -> None:
        draw(self.table, self.config.init_std)

    def patches(self, rows: int, columns: int) -> Tensor:
        """(rows × columns, size)."""
        return interpolated(self.table[self.leading :], self.learned, (rows, columns))

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        rows, columns = sequence.published["patches"].shape
        return added(sequence, self.table[: self.leading], self.patches(rows, columns))


def sinusoidal_grid(rows: int, columns: int, size: int, device: torch.device) -> Tensor:
    """MAE's fixed positions, (rows × columns, size), float32.

    The first half of a vector is of the column, the second of the row; of each, the first half are the sines of
    ``position · 10000^(-4i/size)`` for i = 0, 1, ..., size / 4 - 1, the second the cosines.
    """
    # In float64, as the original: of a large position, float32 angles are off by more than 1e-6.
    frequencies = 10000.0 ** -(torch.arange(size // 4, dtype=torch.float64, device=device) / (size / 4))

    def encoded(count: int) -> Tensor:
        angles = torch.arange(count, dtype=torch.float64, device=device).unsqueeze(1) * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).float()

    across = encoded(columns).unsqueeze(0).expand(rows, -1, -1)
    down = encoded(rows).unsqueeze(1).expand(-1, columns, -1)
    return torch.cat([across, down], dim=-1).flatten(0, 1)


class PatchSinusoidal(Embedding):
    """Adds fixed sines and cosines of the column and row of each patch; tokens before the patches get nothing."""

    def __init__(self, config: PatchSinusoidalConfig, context: BuildContext) -> None:
        super().__init__()
        self.size = context.embedding_size

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        rows, columns = sequence.published["patches"].shape
        table = sinusoidal_grid(rows, columns, self.size, sequence.states.device)
        return added(sequence, None, table.to(sequence.states.dtype))
