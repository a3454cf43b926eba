"""Options of the decoders. Torch-free: torch is imported when a module is built."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.config import BuildContext, DecoderConfig, FieldSpec, Problem
from tp_core.modules.config import AttentionMask, TransformerOptions
from tp_core.modules.config_recurrent import Cell, RecurrentOptions

if TYPE_CHECKING:
    from tp_core.interfaces import Decoder


class TransformerDecoderConfig(DecoderConfig, TransformerOptions):
    """Transformer decoder that attends to the encoder's states (Vaswani et al., 2017; T5, BART)."""

    mask: AttentionMask = Field("causal", description="which positions a position may see")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {} if self.mask == "fully_visible" else {"states:causal": FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_attention(self.hidden_size)
        yield from self.check_grid_bias(context)

    def build(self, context: BuildContext) -> "Decoder":
        from tp_core.modules.decoders.transformer import TransformerDecoder

        return TransformerDecoder(self, context)


class RecurrentDecoderConfig(DecoderConfig, RecurrentOptions):
    """Options that recurrent decoders share."""

    initial_state: Literal["memory", "zeros"] = Field(
        "memory", description="memory: a dense layer with tanh over the mean of the encoder's states (Nematus)"
    )
    init_std: float = Field(0.02, gt=0, description="standard deviation of the dense layers' initial weights")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:causal": FieldSpec()}

    def build(self, context: BuildContext) -> "Decoder":
        from tp_core.modules.decoders.recurrent import RecurrentDecoder

        return RecurrentDecoder(self, context)


class LSTMDecoderConfig(RecurrentDecoderConfig):
    """LSTM decoder with global attention over the encoder's states (Luong et al., 2015; CoVe)."""

    cell: ClassVar[Cell] = "lstm"


class GRUDecoderConfig(RecurrentDecoderConfig):
    """GRU decoder with global attention over the encoder's states (Luong et al., 2015)."""

    cell: ClassVar[Cell] = "gru"
