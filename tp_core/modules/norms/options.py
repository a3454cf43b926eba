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
    bias: bool = Field(True, description="a bias beside the weight")


class RMSNormConfig(NormConfig):
    """Normalisation by the root mean square alone (Zhang & Sennrich, 2019; T5, LLaMA, Gemma)."""

    implementation: ClassVar[str] = "tp_core.modules.norms.norms:RMSNorm"

    eps: float = Field(1e-6, gt=0, description="added to the mean square")
    offset: bool = Field(False, description="states are multiplied by 1 + the weight, which is zero at first (Gemma)")


class NoNormConfig(NormConfig):
    """No norm: the states as they are."""

    implementation: ClassVar[str] = "torch.nn:Identity"

    def build(self, size: int) -> "nn.Module":
        made: nn.Module = self.implemented()()
        return made
