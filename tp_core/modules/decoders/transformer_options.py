"""Options of the transformer decoder. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from tp_core.modules.layers.transformer_options import TransformerOptions, cross_attention
from tp_core.modules.mixers.attention_options import AttentionConfig, AttentionMask
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.decoder import DecoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.ports import CAUSAL, Port


class TransformerDecoderConfig(DecoderConfig, TransformerOptions):
    """Transformer decoder that attends to the encoder's states (Vaswani et al., 2017; T5, BART)."""

    implementation: ClassVar[str] = "tp_core.modules.decoders.transformer:TransformerDecoder"

    mask: AttentionMask = Field("causal", description="which positions a position may see")
    cross_attention: Chosen[AttentionConfig] | None = Field(
        None, description="attention to the encoder's states; with the options of the mixer's attention if unset"
    )

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        if cross_attention(self, self.cross_attention).model_dump() == cross_attention(self, None).model_dump():
            del found["cross_attention"]
        return found

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()} if self.causal() else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_stack()
        if any(self.layer(number).parallel for number in range(self.num_layers)):
            yield Problem("parallel", "leaves no place for attention to the encoder's states, which a decoder has")
