"""Options of vector quantisation. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import PATCHES, PIXEL_VALUES, Port
from tp_core.options.target import TargetConfig
from tp_vision.embeddings.convolutional_options import halvings
from tp_vision.embeddings.options import grid_of, pixels_of


class VectorQuantizationConfig(TargetConfig):
    """The picture again from the nearest of learned codes to each patch's state (VQ-VAE; van den Oord et al., 2017)."""

    implementation: ClassVar[str] = "tp_vision.targets.vq:VectorQuantization"

    num_tokens: int = Field(512, gt=1, description="number of codes")
    code_size: int = Field(32, gt=0, description="width of the codes, which are of length one")
    commitment: float = Field(0.25, ge=0, description="factor of the distance of states from their codes")
    diversity: float = Field(
        0.02,
        ge=0,
        description="factor of the entropy of a batch's mean choice, by which all codes come to be used",
    )
    diversity_temperature: float = Field(0.1, gt=0, description="divides the similarities that the choice is made of")
    width: int = Field(128, gt=0, description="channels of the decoder's convolutions")
    blocks: int = Field(2, ge=0, description="residual blocks before them")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {PATCHES: FieldSpec(), PIXEL_VALUES: pixels_of(context)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        patch = grid_of(context).patch_size
        if halvings(patch) is None:
            yield Problem("", f"needs patches whose size is a power of two, and the model's are {patch}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        training = ("commitment", "diversity", "diversity_temperature")
        return {key: value for key, value in super().effective(context).items() if key not in training}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"squared_error": MetricFacts("low")}
