"""Options of the transformer decoder. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.modules.layers.transformer_options import AttentionMask, TransformerOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.decoder import DecoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.ports import CAUSAL, Port


class TransformerDecoderConfig(DecoderConfig, TransformerOptions):
    """Transformer decoder that attends to the encoder's states (Vaswani et al., 2017; T5, BART)."""

    implementation: ClassVar[str] = "tp_core.modules.decoders.transformer:TransformerDecoder"

    mask: AttentionMask = Field("causal", description="which positions a position may see")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {} if self.mask == "fully_visible" else {CAUSAL: FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_attention(self.hidden_size)
        yield from self.check_grid_bias(context)
