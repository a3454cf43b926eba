"""Options of position embeddings of patches. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.marks import TrainingOnly
from tp_vision.embeddings.options import Size, pair
from tp_vision.facts import GridFacts


class GridPositionConfig(EmbeddingConfig):
    """Base of the options of positions in a grid of patches."""

    makes_sequence: ClassVar[bool] = False

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.fact(GridFacts) is None:
            yield Problem("", "adds to patches, but no module before it makes patches; list patch before it")


class PatchPositionConfig(GridPositionConfig):
    """Learned positions of patches and of the class token, interpolated for pictures of another size (ViT)."""

    implementation: ClassVar[str] = "tp_vision.embeddings.positions:PatchPosition"

    position_image_size: Size | None = Field(
        None,
        description="size of the pictures that the positions are learned for; default: image_size of the patch "
        "embedding. Positions for pictures of any other size are interpolated",
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def table(self, grid: GridFacts) -> tuple[int, int]:
        """Rows and columns of the learned positions."""
        if self.position_image_size is None:
            return grid.height, grid.width
        (height, width), (rows, columns) = pair(self.position_image_size), grid.patch_size
        return height // rows, width // columns

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        grid = context.fact(GridFacts)
        if self.position_image_size is None or grid is None:
            return
        for whole, part in zip(pair(self.position_image_size), grid.patch_size):
            if whole % part:
                yield Problem("position_image_size", f"is not a multiple of patch_size, {part}")
                break

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        if (grid := context.fact(GridFacts)) is not None:
            found["position_image_size"] = list(self.table(grid))
        return found


class PatchSinusoidalConfig(GridPositionConfig):
    """Fixed sines and cosines of a patch's column and row (MAE; He et al., 2022), for pictures of any size."""

    implementation: ClassVar[str] = "tp_vision.embeddings.positions:PatchSinusoidal"

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if context.embedding_size % 4:
            yield Problem("", f"two-dimensional positions need a width divisible by 4, got {context.embedding_size}")
