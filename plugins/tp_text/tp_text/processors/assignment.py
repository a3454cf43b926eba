"""The best assignment of blanks to different choices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_assignment(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """A different column for each row, with the largest sum of scores (Kuhn, 1955; Jonker & Volgenant, 1987).

    Rows are added one by one. For each, a shortest path of reduced costs leads to a free column, along which the
    earlier rows change their columns. It takes rows² · columns operations.

    Args:
        scores: (rows, columns) finite, with at least as many columns as rows.

    Returns:
        The column of each row, (rows,).
    """
    rows, columns = scores.shape
    assert rows <= columns
    costs = scores.max(initial=0.0) - scores
    row_prices, column_prices = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)  # the row that has each column
    for row in range(rows):
        distance, before = np.full(columns, np.inf), np.full(columns, -1)
        reached = np.zeros(columns, dtype=bool)
        length, here, column = 0.0, row, -1
        while here >= 0:
            through = length + costs[here] - row_prices[here] - column_prices
            shorter = ~reached & (through < distance)
            distance[shorter], before[shorter] = through[shorter], column
            column = int(np.where(reached, np.inf, distance).argmin())
            length, reached[column] = float(distance[column]), True
            here = int(owner[column])
        row_prices[row] += length
        inner = reached & (owner >= 0)
        row_prices[owner[inner]] += length - distance[inner]
        column_prices[reached] -= length - distance[reached]
        while column >= 0:
            previous = int(before[column])
            owner[column] = row if previous < 0 else owner[previous]
            column = previous
    found = np.empty(rows, dtype=np.int64)
    taken = np.flatnonzero(owner >= 0)
    found[owner[taken]] = taken
    return found
