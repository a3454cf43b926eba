"""Random masks over the patches of a picture. Torch-free."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Number of attempts to find a rectangle that fits, as in BEiT.
_ATTEMPTS = 10


def random_mask(grid: tuple[int, int], count: int, unit: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Positions of masked patches, ascending, drawn uniformly.

    Args:
        grid: rows and columns of patches, multiples of ``unit``.
        count: number of patches to mask.
        unit: height and width, in patches, of squares that are masked as a whole; the last one may be masked in part.
    """
    rows, columns = grid[0] // unit, grid[1] // unit
    squares = generator.permutation(rows * columns)[: -(-count // unit**2)]
    down, across = np.divmod(squares, columns)
    within = np.arange(unit)
    places = (down[:, None, None] * unit + within[:, None]) * grid[1] + across[:, None, None] * unit + within
    return np.sort(places.reshape(-1)[:count]).astype(np.int64)


def blockwise_mask(
    grid: tuple[int, int], count: int, smallest: int, aspect: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Positions of masked patches, ascending: rectangles of random size and place (BEiT; Bao et al., 2022).

    If no further rectangle fits, single patches are masked until there are ``count``.

    Args:
        grid: rows and columns of patches.
        count: number of patches to mask.
        smallest: number of patches in the smallest rectangle.
        aspect: minimum ratio of height to width of a rectangle; the maximum is its inverse.
    """
    masked = np.zeros(grid, dtype=bool)
    while (left := count - int(masked.sum())) > 0 and _add_block(masked, left, smallest, aspect, generator):
        pass
    left = count - int(masked.sum())
    if left:
        free = np.flatnonzero(~masked)
        masked.reshape(-1)[generator.permutation(free)[:left]] = True
    return np.flatnonzero(masked).astype(np.int64)


def _add_block(
    masked: NDArray[np.bool_], left: int, smallest: int, aspect: float, generator: np.random.Generator
) -> bool:
    """Mask a rectangle that adds at least one and at most ``left`` patches; returns False if none was found."""
    rows, columns = masked.shape
    for _ in range(_ATTEMPTS):
        area = generator.uniform(min(smallest, left), left)
        ratio = math.exp(generator.uniform(math.log(aspect), -math.log(aspect)))
        height, width = max(1, round(math.sqrt(area * ratio))), max(1, round(math.sqrt(area / ratio)))
        if height >= rows or width >= columns:
            continue
        top, start = generator.integers(rows - height + 1), generator.integers(columns - width + 1)
        block = masked[top : top + height, start : start + width]
        if 0 < block.size - int(block.sum()) <= left:
            block[...] = True
            return True
    return False
