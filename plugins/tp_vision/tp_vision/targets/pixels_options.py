"""Options of the target that predicts pixels. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_vision.embeddings.options import pixels_of
from tp_vision.ports import PIXEL_VALUES
from tp_vision.targets.masked_options import MaskedTargetConfig


class PixelsConfig(MaskedTargetConfig):
    """Prediction of the pixels of masked patches (SimMIM, Xie et al., 2022; MAE, He et al., 2022)."""

    implementation: ClassVar[str] = "tp_vision.targets.pixels:Pixels"

    loss: Literal["l1", "mse"] = Field("mse", description="absolute (SimMIM) or squared (MAE) error")
    normalize: bool = Field(
        False, description="predict pixels minus the mean of their patch, divided by its standard deviation (MAE)"
    )

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().requires(context) | {PIXEL_VALUES: pixels_of(context)}
