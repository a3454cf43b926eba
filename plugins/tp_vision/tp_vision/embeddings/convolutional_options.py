"""Options of the convolutional patch embedding. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_vision.embeddings.options import GridOptions, pair
from tp_vision.ports import PATCHES, PIXEL_VALUES


def halvings(patch: tuple[int, int]) -> int | None:
    """Number of times that a picture is halved until a patch is one pixel; None if this is impossible."""
    steps = patch[0].bit_length() - 1
    return steps if patch == (2**steps, 2**steps) else None


class ConvolutionalPatchConfig(GridOptions, EmbeddingConfig):
    """Patches of a picture, computed by convolutions of stride 2 and residual blocks (VQ-VAE)."""

    implementation: ClassVar[str] = "tp_vision.embeddings.convolutional:ConvolutionalPatch"

    width: int = Field(128, gt=0, description="channels of the convolutions")
    blocks: int = Field(2, ge=0, description="number of residual blocks after the convolutions of stride 2")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {PIXEL_VALUES: FieldSpec(("batch", self.channels, *pair(self.image_size)), "float32")}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        grid = self.grid()
        return {PATCHES: FieldSpec((grid.height, grid.width), "int64")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_grid()
        if halvings(pair(self.patch_size)) is None:
            yield Problem("patch_size", f"must be a power of two, the same in height and width, got {self.patch_size}")
