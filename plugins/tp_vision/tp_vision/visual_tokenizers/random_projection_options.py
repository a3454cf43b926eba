"""Options of the random projection. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_vision.visual_tokenizers.options import VisualTokenizerConfig


class RandomProjectionConfig(VisualTokenizerConfig):
    """The random code nearest to a random projection of each patch, fixed by a seed (Chiu et al., 2022)."""

    implementation: ClassVar[str] = "tp_vision.visual_tokenizers.random_projection:RandomProjection"

    num_tokens: int = Field(8192, gt=1, description="number of codes")
    code_size: int = Field(16, gt=0, description="width of the projection and the codes")
    seed: int = Field(0, ge=0, description="seed of the projection and the codes")
    normalize: bool = Field(True, description="subtract the mean of each patch and divide by its standard deviation")

    def token_count(self) -> int:
        return self.num_tokens
