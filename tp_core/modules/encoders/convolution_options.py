"""Options of convolutional encoders. Torch-free."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import CAUSAL, Port


class CNNConfig(EncoderConfig):
    """Parallel convolution filters of several widths (TextCNN with max pooling; Kim, 2014)."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.convolution:CNNEncoder"

    kernel_sizes: list[Annotated[int, Field(gt=0)]] = Field(
        [3, 4, 5], min_length=1, description="widths of the filters; each has an equal part of hidden_size"
    )
    activation: Activation = Field("relu", description="activation of the filters' outputs")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on the states; 0.5 in the paper")
    init_std: TrainingOnly[float | None] = Field(
        None, gt=0, description="standard deviation of the initial weights; default: sqrt(2 / inputs of a filter)"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        widths = len(self.kernel_sizes)
        if self.hidden_size % widths:
            near = max(widths, round(self.hidden_size / widths) * widths)
            message = f"{self.hidden_size} is not divisible by the {widths} widths of filters; did you mean {near}?"
            yield Problem("hidden_size", message)


class GatedCNNConfig(EncoderConfig):
    """Causal gated convolutions (Dauphin et al., 2017)."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.convolution:GatedCNNEncoder"

    num_layers: ModelSize[int] = Field(
        8, gt=0, description="number of layers; the first maps the embeddings to hidden_size"
    )
    kernel_size: ModelSize[int] = Field(
        4, gt=0, description="number of positions that a layer sees, the current one included"
    )
    block_size: int = Field(
        1, gt=0, description="number of layers in each block with a residual connection, after the first layer"
    )
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on the output of each layer")
    init_std: TrainingOnly[float | None] = Field(
        None,
        gt=0,
        description="standard deviation of the initial weights; default: sqrt(3 / inputs of a filter), which keeps "
        "the variance through the gates",
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()}
