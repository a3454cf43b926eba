"""Options of the embeddings of pictures. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, GridFacts, ModuleConfig, Problem

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding

Positive = Annotated[int, Field(gt=0)]
#: One number for both, or [height, width], in pixels.
Size = Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)]


def pair(size: int | list[int]) -> tuple[int, int]:
    """A size option as (height, width)."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


class GridOptions(ModuleConfig):
    """What all that cuts pictures into patches has to know."""

    image_size: Size = Field(224, description="height and width of pictures in pixels; or [height, width]")
    patch_size: Size = Field(16, description="height and width of a patch in pixels; or [height, width]")
    channels: int = Field(3, gt=0, description="colours of a pixel: 3 for RGB, 1 for greyscale")

    def check_grid(self) -> Iterator[Problem]:
        """Yield a problem where the patches do not fill the picture."""
        for name, whole, part in zip(("height", "width"), pair(self.image_size), pair(self.patch_size)):
            if whole % part:
                near = max(1, round(whole / part)) * part
                message = f"patches of {part} pixels do not fill a {name} of {whole}; did you mean {near}?"
                yield Problem("image_size", message)
                break


class PatchConfig(EmbeddingConfig, GridOptions):
    """Patches of a picture, one vector each, behind a class token (ViT; Dosovitskiy et al., 2021)."""

    class_token: bool = Field(True, description="a learned vector stands first")
    distillation_token: bool = Field(False, description="another stands behind it (DeiT; Touvron et al., 2021)")
    registers: int = Field(0, ge=0, description="further learned vectors before the patches (Darcet et al., 2024)")
    bias: bool = Field(True, description="bias of the patches' projection")
    init_std: float = Field(0.02, gt=0)
    projection_std: float | None = Field(
        None, gt=0, description="initial weights of the projection; unset: 1 / sqrt(numbers of a patch), as ViT's"
    )

    def grid(self) -> GridFacts:
        (height, width), (rows, columns) = pair(self.image_size), pair(self.patch_size)
        leading = int(self.class_token) + int(self.distillation_token)
        return GridFacts(height // rows, width // columns, (rows, columns), self.channels, leading, self.registers)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"pixel_values": FieldSpec(("batch", self.channels, *pair(self.image_size)), "float32")}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        grid = self.grid()
        return {"side:patches": FieldSpec((grid.height, grid.width), "int64")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_grid()

    def build(self, context: BuildContext) -> "Embedding":
        from tp_vision.embeddings.patch import Patch

        return Patch(self, context)


class GridPositionConfig(EmbeddingConfig):
    """Base of positions in a grid of patches."""

    makes_sequence: ClassVar[bool] = False

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.grid is None:
            yield Problem("", "adds to patches, and this embedding makes none; list patch before it")


class PatchPositionConfig(GridPositionConfig):
    """Learned positions of patches and of the class token, interpolated for pictures of another size (ViT)."""

    position_image_size: Size | None = Field(
        None,
        description="size of the pictures that the positions are learned for; unset: that of the patch embedding. "
        "Positions for pictures of any other size are interpolated",
    )
    init_std: float = Field(0.02, gt=0)

    def table(self, grid: GridFacts) -> tuple[int, int]:
        """Rows and columns of the learned positions."""
        if self.position_image_size is None:
            return grid.height, grid.width
        (height, width), (rows, columns) = pair(self.position_image_size), grid.patch_size
        return height // rows, width // columns

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.position_image_size is None or context.grid is None:
            return
        for whole, part in zip(pair(self.position_image_size), context.grid.patch_size):
            if whole % part:
                yield Problem("position_image_size", f"is no multiple of patch_size, {part}")
                break

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        if context.grid is not None:
            found["position_image_size"] = list(self.table(context.grid))
        return found

    def build(self, context: BuildContext) -> "Embedding":
        from tp_vision.embeddings.positions import PatchPosition

        return PatchPosition(self, context)


class PatchSinusoidalConfig(GridPositionConfig):
    """Fixed sines and cosines of a patch's column and row (MAE; He et al., 2022), for pictures of any size."""

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if context.embedding_size % 4:
            yield Problem("", f"two-dimensional positions need a width divisible by 4, got {context.embedding_size}")

    def build(self, context: BuildContext) -> "Embedding":
        from tp_vision.embeddings.positions import PatchSinusoidal

        return PatchSinusoidal(context)
