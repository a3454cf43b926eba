"""Options of the original's norms. Torch-free."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from tp_core.modules.norms.options import LayerNormConfig
from tp_core.options.base import Equivalent
from tp_core.options.marks import TrainingOnly
from tp_core.options.norm import NormConfig


class UnbiasedLayerNormConfig(NormConfig):
    """Layer normalisation of TencentPretrain and UER: unbiased deviation, with epsilon added to it."""

    implementation: ClassVar[str] = "tp_tencentpretrain.norms.unbiased:UnbiasedLayerNorm"

    eps: float = Field(1e-6, gt=0, description="added to the standard deviation")

    def equivalents(self) -> Iterable[Equivalent]:
        """Layer norms with weights that contain the factor between the deviations; BART and others fix epsilon."""
        difference = "epsilon is added to the variance, and not to the deviation"
        return [Equivalent(LayerNormConfig(eps=eps), "layernorm", difference) for eps in (1e-12, 1e-5)]


class UnbiasedLayerNormTwiceConfig(NormConfig):
    """Two layer normalisations of TencentPretrain in sequence, as after the embeddings of its dual streams."""

    implementation: ClassVar[str] = "tp_tencentpretrain.norms.unbiased:UnbiasedLayerNormTwice"

    eps: float = Field(1e-6, gt=0, description="added to the standard deviations")
    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout between the two norms")
