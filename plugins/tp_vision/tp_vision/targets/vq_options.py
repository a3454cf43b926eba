"""Options of vector quantisation. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig
from tp_vision.embeddings.convolutional_options import halvings
from tp_vision.embeddings.options import grid_of, pixels_of
from tp_vision.ports import PATCHES, PIXEL_VALUES


class VectorQuantizationConfig(TargetConfig):
    """Reconstruction of pictures from the learned code nearest to each patch (VQ-VAE; van den Oord et al., 2017)."""

    implementation: ClassVar[str] = "tp_vision.targets.vq:VectorQuantization"

    num_tokens: int = Field(512, gt=1, description="number of codes")
    code_size: int = Field(32, gt=0, description="width of the codes, which are normalised to length one")
    commitment: float = Field(0.25, ge=0, description="weight of the distance of states to their codes")
    diversity: float = Field(
        0.02,
        ge=0,
        description="weight of the entropy of the batch's mean choice of codes, which makes all codes used",
    )
    diversity_temperature: float = Field(0.1, gt=0, description="temperature of the softmax of that choice")
    width: int = Field(128, gt=0, description="channels of the decoder's convolutions")
    blocks: int = Field(2, ge=0, description="number of residual blocks in the decoder")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {PATCHES: FieldSpec(), PIXEL_VALUES: pixels_of(context)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        patch = grid_of(context).patch_size
        if halvings(patch) is None:
            yield Problem("", f"needs patches whose size is a power of two, but the model's are {patch}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        training = ("commitment", "diversity", "diversity_temperature")
        return {key: value for key, value in super().effective(context).items() if key not in training}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"squared_error": MetricFacts("low")}
