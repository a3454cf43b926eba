"""Options of the transformer encoder. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.ports import CAUSAL, Port

#: Options that would do nothing without attention. Widths and rates that a model sets for all its modules may stay.
_OF_ATTENTION = (
    "num_key_value_heads",
    "head_size",
    "attention_scale",
    "position_encoding",
    "residual_attention",
    "key_bias",
)


class TransformerConfig(EncoderConfig, TransformerOptions):
    """Transformer encoder (Vaswani et al., 2017) with the variants of BERT, GPT-2, ALBERT, T5, LLaMA and FNet."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.transformer:TransformerEncoder"

    mixing: Literal["attention", "fourier"] = Field(
        "attention", description="fourier: a transform without weights in place of attention (FNet)"
    )
    fourier_padding: bool = Field(
        False, description="padding takes part in Fourier mixing and changes every state, as in FNet's checkpoints"
    )
    embedding_projection: bool = Field(
        False, description="a dense layer before the first, even where the embeddings are as wide as the states (FNet)"
    )

    def uses_attention(self) -> bool:
        return self.mixing == "attention"

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        projected = self.embedding_projection or context.embedding_size != context.hidden_size
        found["embedding_projection"] = projected
        if self.uses_attention():
            del found["fourier_padding"]
            return found
        idle = ("num_heads", "num_key_value_heads", "head_size", "position_encoding", "residual_attention")
        return {key: value for key, value in found.items() if key not in idle and not key.startswith("attention_")}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {} if self.mask == "fully_visible" else {CAUSAL: FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.uses_attention():
            yield from self.check_attention(self.hidden_size)
            yield from self.check_grid_bias(context)
            if self.fourier_padding:
                yield Problem("fourier_padding", "needs mixing: fourier; attention never sees padding")
            return
        if self.mask != "fully_visible":
            yield Problem("mask", f"Fourier mixing shows every position to all others and cannot be {self.mask}")
        unset = type(self).model_fields
        for option in _OF_ATTENTION:
            if getattr(self, option) != unset[option].default:
                yield Problem(option, "belongs to attention, which mixing: fourier replaces; leave it out")
