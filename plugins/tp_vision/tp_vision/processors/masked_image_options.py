"""Options of pictures with masked patches. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_vision.facts import GridFacts
from tp_vision.processors.options import PictureProcessorConfig

_OWN = frozenset({"masking", "mask_ratio", "mask_unit", "min_block", "aspect"})


class MaskedImageConfig(PictureProcessorConfig):
    """Pictures with masked patches, for BEiT, SimMIM and MAE; labels are not read."""

    terms: ClassVar[Mapping[str, str]] = {
        "mask_ratio": "masking_ratio",
    }

    implementation: ClassVar[str] = "tp_vision.processors.masked_image:MaskedImageProcessor"
    sampling_options: ClassVar[frozenset[str]] = PictureProcessorConfig.sampling_options | _OWN

    masking: Literal["random", "blockwise"] = Field(
        "random", description="random: patches one by one (MAE, SimMIM); blockwise: rectangles (BEiT)"
    )
    mask_ratio: float = Field(0.75, gt=0, lt=1, description="share of masked patches, the same in every picture")
    mask_unit: int = Field(
        1,
        gt=0,
        description="random masking: height and width, in patches, of squares that are masked as a whole (SimMIM: 2)",
    )
    min_block: int = Field(16, gt=0, description="blockwise masking: number of patches in the smallest rectangle")
    aspect: float = Field(
        0.3, gt=0, le=1, description="blockwise masking: minimum ratio of height to width of a rectangle"
    )

    def grid(self, model: GridFacts | None) -> tuple[int, int]:
        """Rows and columns of patches; without a model, of patches with 16 pixels."""
        if model is not None:
            return model.height, model.width
        height, width = self.size(None)
        return max(1, height // 16), max(1, width // 16)

    def count(self, model: GridFacts | None) -> int:
        """Number of masked patches per picture: at least one, but not all."""
        rows, columns = self.grid(model)
        # As in MAE, the number of visible patches is rounded down. 1e-9 corrects the floating-point error of 1 - 0.6.
        left = int(rows * columns * (1 - self.mask_ratio) + 1e-9)
        return max(1, min(rows * columns - left, rows * columns - 1))

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        rows, columns = self.grid(context.fact(GridFacts))
        patches, masked = rows * columns, self.count(context.fact(GridFacts))
        return super().provides(context) | {
            Port.input("bool_masked_pos"): FieldSpec(("batch", patches), "bool"),
            Port.input("visible_ids"): FieldSpec(("batch", patches - masked), "int64", patches),
            Port.labels("masked"): FieldSpec(("batch", masked), "int64", patches),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        rows, columns = self.grid(context.fact(GridFacts))
        if self.masking == "random" and (rows % self.mask_unit or columns % self.mask_unit):
            message = f"squares of {self.mask_unit} patches do not fill a grid of {rows} x {columns}"
            yield Problem("mask_unit", message)
        if self.masking == "random" and self.mask_unit**2 >= rows * columns:
            yield Problem(
                "mask_unit", f"one square of {self.mask_unit} x {self.mask_unit} patches covers the whole picture"
            )
        if self.masking == "blockwise" and self.mask_unit != 1:
            yield Problem("mask_unit", "belongs to masking: random; blockwise has min_block")
        if rows * columns < 2:
            yield Problem("", "needs pictures with several patches, but the model's have one")
        if self.augment.mixes():
            yield Problem("augment", "mixup and cutmix are for classification only")
