"""Options of recurrent decoders. Torch-free."""

from typing import ClassVar, Literal

from pydantic import Field

from tp_core.modules.layers.recurrent_options import Cell, RecurrentOptions
from tp_core.options.context import BuildContext
from tp_core.options.decoder import DecoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import CAUSAL, Port


class RecurrentDecoderConfig(DecoderConfig, RecurrentOptions):
    """Options that recurrent decoders share."""

    implementation: ClassVar[str] = "tp_core.modules.decoders.recurrent:RecurrentDecoder"

    initial_state: Literal["memory", "zeros"] = Field(
        "memory", description="memory: dense layer with tanh over the mean of the encoder's states (Nematus); or zeros"
    )
    init_std: TrainingOnly[float] = Field(
        0.02, gt=0, description="standard deviation of the dense layers' initial weights"
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()}


class LSTMDecoderConfig(RecurrentDecoderConfig):
    """LSTM decoder with global attention over the encoder's states (Luong et al., 2015; CoVe)."""

    cell: ClassVar[Cell] = "lstm"


class GRUDecoderConfig(RecurrentDecoderConfig):
    """GRU decoder with global attention over the encoder's states (Luong et al., 2015)."""

    cell: ClassVar[Cell] = "gru"
