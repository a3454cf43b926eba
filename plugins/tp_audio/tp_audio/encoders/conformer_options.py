"""Options of the Conformer encoder. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig
from tp_core.options.feed_forward import FeedForwardConfig
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.mixer import MixerConfig
from tp_core.options.norm import NormConfig


class ConformerConfig(EncoderConfig):
    """Conformer: attention and a convolution between two half feed-forward layers (Gulati et al., 2020)."""

    implementation: ClassVar[str] = "tp_audio.encoders.conformer:ConformerEncoder"

    passed_on: ClassVar[frozenset[str]] = frozenset(
        {"num_heads", "feed_forward_size", "activation", "activation_dropout", "dropout", "init_std"}
    )

    num_layers: ModelSize[int] = Field(16, gt=0, description="number of layers")
    num_heads: ModelSize[int] = Field(4, gt=0, description="attention heads")
    mixer: Chosen[MixerConfig] = Chosen.by_default(
        {"attention": {"positions": "distance"}},
        description="token mixer; default: attention with sinusoids of the distance, as in the paper",
    )
    feed_forward: Chosen[FeedForwardConfig] = Chosen.by_default(
        "dense", description="type of the two half feed-forward layers"
    )
    feed_forward_size: ModelSize[int | None] = Field(None, gt=0, description="inner width; default: 4 × hidden_size")
    activation: Activation = Field(
        "silu", description="activation of the feed-forward layers and the convolution; silu is swish"
    )
    norm: Chosen[NormConfig] = Chosen.by_default(
        {"layernorm": {"eps": 1e-5}}, description="norm before each part of a layer and after the layer"
    )
    kernel_size: ModelSize[int] = Field(31, gt=0, description="kernel size of the depthwise convolution; odd")
    convolution_norm: Literal["batch", "layer"] = Field(
        "batch",
        description="norm in the convolution module; batch: over real positions, as in the paper; layer: independent "
        "of the split of a batch into micro-batches and processes",
    )
    convolution_bias: bool = Field(True, description="biases in the convolutions")
    final_norm: bool = Field(False, description="a further norm after the last layer, as in wav2vec 2.0's conformer")
    mask_padding: bool = Field(
        True,
        description="hide padding from the convolutions; false: the last states of a recording depend on the amount "
        "of padding in the batch, as in transformers' wav2vec2-conformer",
    )
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on the output of each sub-layer")
    activation_dropout: TrainingOnly[float] = Field(
        0.1, ge=0, lt=1, description="dropout inside the feed-forward layers"
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        # mask_padding does not change a recording in a batch of its own.
        return {name: value for name, value in super().effective(context).items() if name != "mask_padding"}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.kernel_size % 2 == 0:
            near = self.kernel_size + 1
            yield Problem("kernel_size", f"must be odd, so that it is centred; got {self.kernel_size}, try {near}")
        if self.mixer.config.causal():
            yield Problem("mixer", "is causal, but the convolutions see later positions")
