"""Options of visual tokenizers. Torch-free."""

from typing import TYPE_CHECKING

from pydantic import Field

from tp_core.config import BuildContext, VisualTokenizerConfig
from tp_core.spec.schema_common import PathStr

if TYPE_CHECKING:
    from tp_core.interfaces import VisualTokenizer


class RandomProjectionConfig(VisualTokenizerConfig):
    """The nearest of random codes to a random projection of each patch, fixed by a seed (Chiu et al., 2022)."""

    num_tokens: int = Field(8192, gt=1, description="number of codes")
    code_size: int = Field(16, gt=0, description="width of the projection and the codes")
    seed: int = Field(0, ge=0, description="of the projection and the codes")
    normalize: bool = Field(True, description="take each patch less its mean, by its deviation")

    def token_count(self) -> int:
        return self.num_tokens

    def build(self, context: BuildContext) -> "VisualTokenizer":
        from tp_vision.visual_tokenizers.random_projection import RandomProjection

        return RandomProjection(self, context)


class VectorQuantizedConfig(VisualTokenizerConfig):
    """The codes of a trained VQ-VAE: a model with the target vq."""

    model: PathStr = Field(..., description="folder of its run, or of the exported model")
    num_tokens: int = Field(512, gt=1, description="number of its codes")

    def token_count(self) -> int:
        return self.num_tokens

    def training_files(self) -> dict[str, str]:
        return {"model": self.model}

    def build(self, context: BuildContext) -> "VisualTokenizer":
        from tp_vision.visual_tokenizers.vector_quantized import VectorQuantized

        return VectorQuantized(self, context)
