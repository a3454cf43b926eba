"""Learned attention biases by the offset of two patches in a grid."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.errors import TPError
from tp_core.interfaces import Module
from tp_core.interfaces.layer_parts import Positions, PositionTable, PositionValues, StackPass
from tp_core.modules.layers.linear import Embedding
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_vision.positions.grid_options import GridPositionsConfig


def grid_offsets(rows: int, columns: int, length: int, device: torch.device) -> Tensor:
    """Indices of rows in the table of :class:`GridBias`, (length, length) by query and key.

    The patches of the grid are at the end of the sequence, after the leading tokens. The first rows of the table belong
    to the offsets of two patches. The last three rows belong to a leading token and a patch, a patch and a leading
    token, and two leading tokens.

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
    """Learned bias per head and per offset of two patches in a grid; initialised with zeros.

    Biases are interpolated for a picture whose grid differs from ``grid``, (rows, columns).
    """

    def __init__(self, heads: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.offsets = (2 * grid[0] - 1, 2 * grid[1] - 1)
        self.bias = Embedding(self.offsets[0] * self.offsets[1] + 3, heads, std=0.0)

    def forward(self, grid: tuple[int, int], length: int) -> Tensor:
        """Compute the bias (1, heads, length, length) of a sequence that ends with the patches of ``grid``."""
        table = self.bias.weight
        if grid != self.grid:
            learned = table[:-3].view(*self.offsets, -1).permute(2, 0, 1).unsqueeze(0).float()
            wanted = F.interpolate(learned, size=(2 * grid[0] - 1, 2 * grid[1] - 1), mode="bilinear")
            table = torch.cat([wanted.squeeze(0).flatten(1).T.to(table.dtype), table[-3:]])
        return table[grid_offsets(*grid, length, table.device)].permute(2, 0, 1).unsqueeze(0)


def _bias(config: GridPositionsConfig, context: BuildContext) -> GridBias:
    grid = config.grid(context)
    assert grid is not None
    heads = context.fact(HeadFacts)
    assert heads is not None
    return GridBias(heads.number, grid)


class GridTable(PositionTable):
    """The grid of the pictures, and the bias that all layers share."""

    def __init__(self, config: GridPositionsConfig, context: BuildContext) -> None:
        super().__init__()
        self.grid = config.grid(context)
        self.bias = None if config.per_layer else _bias(config, context)

    def forward(self, run: StackPass) -> PositionValues:
        """Return the grid as (rows, columns), and the shared bias.

        Raises:
            NotImplementedError: there is a KV cache; a picture is read as a whole.
        """
        if run.kv_cache is not None:
            raise NotImplementedError("positions in a grid need the whole picture and cannot use a KV cache")
        patches, grid = run.sequence.published.get("patches"), self.grid
        if patches is not None:
            grid = patches.shape[0], patches.shape[1]
        assert grid is not None
        bias = None if self.bias is None else self.bias(grid, run.sequence.states.shape[1])
        return PositionValues(grid, bias)


class GridPositions(Positions):
    """The bias of one layer, with ``per_layer``."""

    def __init__(self, config: GridPositionsConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.own = _bias(config, context) if config.per_layer else None

    def bias(self, states: Tensor, queries: Tensor, values: tuple[int, int]) -> Tensor | None:
        return None if self.own is None else self.own(values, states.shape[1])
