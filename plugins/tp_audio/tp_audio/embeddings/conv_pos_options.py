"""Options of convolutional positions. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.marks import ModelSize


class ConvolutionalPositionConfig(EmbeddingConfig):
    """Relative positions by one wide grouped convolution (wav2vec 2.0; Baevski et al., 2020)."""

    implementation: ClassVar[str] = "tp_audio.embeddings.conv_pos:ConvolutionalPosition"
    makes_sequence: ClassVar[bool] = False

    kernel_size: ModelSize[int] = Field(128, gt=0, description="kernel size in frames")
    groups: int = Field(16, gt=0)
    activation: Activation = "gelu"

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.embedding_size % self.groups:
            yield Problem("groups", f"{self.groups} does not divide the {context.embedding_size} channels")
