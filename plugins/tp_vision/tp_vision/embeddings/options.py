"""Options that all patch embeddings share. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize
from tp_vision.facts import GridFacts

Positive = Annotated[int, Field(gt=0)]


#: One number for both, or [height, width], in pixels.
Size = Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)]


def pair(size: int | list[int]) -> tuple[int, int]:
    """A size option as (height, width)."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


class GridOptions(ModuleConfig):
    """Base of the options of modules that divide pictures into patches."""

    terms: ClassVar[Mapping[str, str]] = {
        "image_size": "img_size image_resolution force_image_size",
        "patch_size": "patch",
        "channels": "num_channels in_chans in_channels channels_num",
    }

    image_size: ModelSize[Size] = Field(224, description="height and width of pictures in pixels, or [height, width]")
    patch_size: ModelSize[Size] = Field(16, description="height and width of a patch in pixels, or [height, width]")
    channels: ModelSize[int] = Field(3, gt=0, description="numbers per pixel: 3 for RGB, 1 for greyscale")

    def grid(self) -> GridFacts:
        """The grid of patches into which pictures of these sizes are divided."""
        (height, width), (rows, columns) = pair(self.image_size), pair(self.patch_size)
        return GridFacts(height // rows, width // columns, (rows, columns), self.channels)

    def published_facts(self) -> Iterable[GridFacts]:
        yield self.grid()

    def places(self) -> int | None:
        grid = self.grid()
        return grid.before + grid.patches

    def check_grid(self) -> Iterator[Problem]:
        """Yield a problem if the patches do not fill the picture."""
        for name, whole, part in zip(("height", "width"), pair(self.image_size), pair(self.patch_size)):
            if whole % part:
                near = max(1, round(whole / part)) * part
                message = f"patches of {part} pixels do not fill a {name} of {whole}; did you mean {near}?"
                yield Problem("image_size", message)
                break


#: The grid of ViT, which describes fields if the model has no grid yet.
_SOME = GridFacts(14, 14, (16, 16), 3)


def grid_of(context: BuildContext) -> GridFacts:
    """The grid of the model's patches."""
    return context.fact(GridFacts) or _SOME


def pixels_of(context: BuildContext) -> FieldSpec:
    """Shape and type of the model's pictures."""
    grid = grid_of(context)
    size = grid.height * grid.patch_size[0], grid.width * grid.patch_size[1]
    return FieldSpec(("batch", grid.channels, *size), "float32")
