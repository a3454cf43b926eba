"""Options of the Conformer encoder. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.layers.transformer_options import Activation
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig


class ConformerConfig(EncoderConfig):
    """Conformer: attention and a convolution between two half feed-forward layers (Gulati et al., 2020)."""

    implementation: ClassVar[str] = "tp_audio.encoders.conformer:ConformerEncoder"

    num_layers: int = Field(16, gt=0, description="number of layers")
    num_heads: int = Field(4, gt=0, description="attention heads")
    feed_forward_size: int | None = Field(None, gt=0, description="inner width; 4 × hidden_size if unset")
    activation: Activation = Field("silu", description="of the feed-forward layers and the convolution; silu is swish")
    kernel_size: int = Field(31, gt=0, description="positions that the depthwise convolution sees; odd")
    convolution_norm: Literal["batch", "layer"] = Field(
        "batch",
        description="norm in the convolution: batch as in the paper, over real positions; layer does not depend on how "
        "a batch is cut into micro-batches and processes",
    )
    convolution_bias: bool = Field(True, description="biases in the convolutions")
    position_encoding: Literal["relative", "rotary", "none"] = Field(
        "relative", description="relative: sinusoids of the distance (Transformer-XL), as in the paper"
    )
    rotary_theta: float = Field(10000.0, gt=0, description="base of the rotary frequencies")
    final_norm: bool = Field(False, description="another norm behind the last layer, as in wav2vec 2.0's conformer")
    mask_padding: bool = Field(
        True,
        description="no convolution sees padding; false: the last states of a recording depend on how much of it "
        "there is in the batch, as in transformers' wav2vec2-conformer",
    )
    norm_eps: float = Field(1e-5, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1, description="on the output of each sub-layer")
    attention_dropout: float | None = Field(None, ge=0, lt=1, description="on attention weights; dropout if unset")
    activation_dropout: float | None = Field(
        None, ge=0, lt=1, description="inside the feed-forward layers; dropout if unset"
    )
    init_std: float = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def transformer(self) -> TransformerConfig:
        """The options that the parts have which are the transformer's own."""
        inner = self.activation_dropout
        return TransformerConfig(
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            feed_forward_size=self.feed_forward_size,
            activation=self.activation,
            norm_position="pre",
            norm_eps=self.norm_eps,
            position_encoding="rotary" if self.position_encoding == "rotary" else "none",
            rotary_theta=self.rotary_theta,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.dropout if inner is None else inner,
            init_std=self.init_std,
        )

    def effective(self, context: BuildContext) -> dict[str, Any]:
        # A recording alone has the same states with either mask_padding.
        return {name: value for name, value in super().effective(context).items() if name != "mask_padding"}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.transformer().check_attention(self.hidden_size)
        if self.kernel_size % 2 == 0:
            near = self.kernel_size + 1
            yield Problem("kernel_size", f"must be odd, so that it is centred; got {self.kernel_size}, try {near}")
        if self.position_encoding == "relative" and self.hidden_size % 2:
            yield Problem("hidden_size", f"relative positions need an even width, got {self.hidden_size}")
