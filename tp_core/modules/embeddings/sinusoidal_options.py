"""Options of sinusoidal positions. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig


class SinusoidalPositionConfig(EmbeddingConfig):
    """Fixed sine and cosine positions of any length (Vaswani et al., 2017)."""

    implementation: ClassVar[str] = "tp_core.modules.embeddings.sinusoidal:SinusoidalPosition"
    makes_sequence: ClassVar[bool] = False

    layout: Literal["interleaved", "halves"] = Field(
        "interleaved", description="interleaved: sines and cosines alternate; halves: all sines, then all cosines"
    )
    offset: int = Field(0, ge=0, description="number of the first position (2 in fairseq's models)")
    frequencies: Literal["paper", "tensor2tensor"] = Field(
        "paper", description="exponent 2i/d as in the paper, or i/(d/2 - 1) as in tensor2tensor and fairseq"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.embedding_size % 2:
            yield Problem("", f"sinusoidal positions need an even width, got {context.embedding_size}")
