"""Options of norms. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.norm import NormConfig

if TYPE_CHECKING:
    from torch import nn


class LayerNormConfig(NormConfig):
    """Layer normalisation (Ba et al., 2016)."""

    implementation: ClassVar[str] = "tp_core.modules.norms.norms:LayerNorm"

    eps: float = Field(1e-12, gt=0, description="added to the variance")
    bias: bool = Field(True, description="learned bias in addition to the weight")


class RMSNormConfig(NormConfig):
    """Root mean square normalisation (Zhang & Sennrich, 2019; T5, LLaMA, Gemma)."""

    implementation: ClassVar[str] = "tp_core.modules.norms.norms:RMSNorm"

    eps: float = Field(1e-6, gt=0, description="added to the mean square")
    offset: bool = Field(False, description="multiply by 1 + weight, with an initial weight of zero (Gemma)")


class NoNormConfig(NormConfig):
    """No norm: the states stay unchanged."""

    implementation: ClassVar[str] = "torch.nn:Identity"

    def build(self, size: int) -> "nn.Module":
        made: nn.Module = self.implemented()()
        return made
