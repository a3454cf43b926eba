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
from tp_core.options.ports import CAUSAL, Port

#: Attention options that do not change the result of a trained model's cross-attention.
_IDLE = {"mask", "window", "positions", "key_bias", "residual", "dropout", "init_std"}


class TransformerDecoderConfig(DecoderConfig, TransformerOptions):
    """Transformer decoder that attends to the encoder's states (Vaswani et al., 2017; T5, BART)."""

    implementation: ClassVar[str] = "tp_core.modules.decoders.transformer:TransformerDecoder"

    mask: AttentionMask = Field("causal", description="positions that each position may attend to")
    cross_attention: Chosen[AttentionConfig] | None = Field(
        None, description="attention to the encoder's states; default: the options of the mixer's attention"
    )

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        own, usual = (cross_attention(self, each).model_dump(exclude=_IDLE) for each in (self.cross_attention, None))
        if own == usual:
            del found["cross_attention"]
        return found

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()} if self.causal() else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_stack()
        parallel = {"parallel": self} | {f"layers.{key}.parallel": each for key, each in self.distinct_layers()}
        for option in (option for option, each in parallel.items() if each.parallel):
            yield Problem(option, "leaves no place for attention to the encoder's states, which a decoder needs")
        if self.cross_attention is None and not isinstance(self.mixer.config, AttentionConfig):
            yield from cross_attention(self, None).check(context)  # these derived options are not checked elsewhere
        if self.cross_attention is not None:
            own = self.cross_attention.config
            given = {
                "window": own.window is not None,
                "positions": own.positions.name != "none",
                "key_bias": own.bias and not own.key_bias,
                "residual": own.residual,
            }
            for option in (name for name, idle in given.items() if idle):
                message = "is for self-attention only, not for attention to the encoder's states"
                yield Problem(f"cross_attention.{self.cross_attention.written}.{option}", message)
