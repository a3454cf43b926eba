"""Options of positions in a grid of patches. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.marks import ModelSize
from tp_core.options.positions import PositionsConfig
from tp_vision.facts import GridFacts


class GridPositionsConfig(PositionsConfig):
    """Learned attention bias per head and per offset of two patches in a grid (BEiT; Bao et al., 2022)."""

    terms: ClassVar[Mapping[str, str]] = {
        "size": "grid",
    }

    implementation: ClassVar[str] = "tp_vision.positions.grid:GridPositions"
    table: ClassVar[str] = "tp_vision.positions.grid:GridTable"

    size: ModelSize[list[int] | None] = Field(
        None, min_length=2, max_length=2, description="rows and columns of the grid; default: the embedding's"
    )
    per_layer: bool = Field(False, description="true: each layer has its own bias; false: all layers share one")

    def grid(self, context: BuildContext) -> tuple[int, int] | None:
        """Rows and columns of the grid; None if they are unknown."""
        if self.size is not None:
            return self.size[0], self.size[1]
        grid = context.fact(GridFacts)
        return None if grid is None else (grid.height, grid.width)

    def of_layer(self) -> bool:
        return self.per_layer

    def effective(self, context: BuildContext) -> dict[str, Any]:
        return super().effective(context) | {"size": self.grid(context)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.grid(context) is None:
            yield Problem("", "is for embeddings that make patches, such as patch; use one, or set size")
        elif self.size is not None and min(self.size) < 1:
            yield Problem("size", f"rows and columns are at least 1, got {self.size}")
