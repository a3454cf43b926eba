"""Options of learned positions. Torch-free."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Equivalent
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.marks import ModelSize, TrainingOnly


class LearnedPositionConfig(EmbeddingConfig):
    """Learned absolute positions (Devlin et al., 2019)."""

    implementation: ClassVar[str] = "tp_core.modules.embeddings.position:LearnedPosition"
    makes_sequence: ClassVar[bool] = False

    max_length: ModelSize[int] = Field(512, gt=0, description="maximum length of a sequence")
    offset: int = Field(0, ge=0, description="row of the first position in the table (2 in RoBERTa's checkpoints)")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def equivalents(self) -> Iterable[Equivalent]:
        """The same positions with, or without, two rows of the table before them."""
        if self.offset not in (0, 2):
            return []
        return [Equivalent(self.model_copy(update={"offset": 2 - self.offset}))]

    def length_limit(self) -> int | None:
        return self.max_length
