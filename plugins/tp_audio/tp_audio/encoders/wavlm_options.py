"""Options of the WavLM encoder. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig


class WavLMEncoderConfig(EncoderConfig, TransformerOptions):
    """Transformer whose relative position bias is gated by the states (WavLM; Chen et al., 2022)."""

    implementation: ClassVar[str] = "tp_audio.encoders.wavlm:WavLMEncoder"

    mask: Literal["fully_visible"] = Field("fully_visible", description="which positions a position may see")
    position_encoding: Literal["relative"] = Field("relative", description="positions that belong to attention")
    residual_attention: Literal[False] = Field(False, description="not together with gated positions")
    relative_buckets: int = Field(320, gt=3, description="buckets of distances, half of them for each direction")
    relative_max_distance: int = Field(800, gt=1, description="distance from which all fall into the last bucket")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_attention(self.hidden_size)
