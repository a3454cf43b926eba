"""Options of the embedding ``acme.from_end``. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import EmbeddingConfig
from tp_core.options.marks import ModelSize, TrainingOnly


class FromEndConfig(EmbeddingConfig):
    """Learned positions, counted from the last real position."""

    implementation: ClassVar[str] = "tp_acme.from_end:FromEnd"
    makes_sequence: ClassVar[bool] = False  # it adds to a sequence, so it cannot be the first module

    max_length: ModelSize[int] = Field(512, gt=0, description="maximum sequence length")
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def length_limit(self) -> int | None:
        return self.max_length
