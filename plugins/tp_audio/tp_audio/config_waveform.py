"""Options of the modules that read raw waveforms: wav2vec 2.0, HuBERT and WavLM. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from tp_core.config import BuildContext, EmbeddingConfig, EncoderConfig, FieldSpec, Problem
from tp_core.modules.config import Activation, TransformerOptions

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Encoder


def frames_of(samples: int, kernels: list[int], strides: list[int]) -> int:
    """How many frames a stack of convolutions without padding makes of a number of samples; 0 if too few."""
    for kernel, stride in zip(kernels, strides):
        samples = (samples - kernel) // stride + 1
    return max(samples, 0)


def shortest(kernels: list[int], strides: list[int], frames: int = 1) -> int:
    """The smallest number of samples of which a stack of convolutions makes so many frames."""
    for kernel, stride in zip(reversed(kernels), reversed(strides)):
        frames = (frames - 1) * stride + kernel
    return frames


class WaveformConfig(EmbeddingConfig):
    """Raw waveform: strided convolutions, norm and projection (wav2vec 2.0; Baevski et al., 2020).

    Where the batch has ``mask_time_indices`` (batch, frames), a learned vector stands in for those frames.
    """

    channels: list[PositiveInt] = Field([512] * 7, min_length=1, description="channels of each convolution")
    kernels: list[PositiveInt] = Field([10, 3, 3, 3, 3, 2, 2], min_length=1, description="kernel sizes")
    strides: list[PositiveInt] = Field([5, 2, 2, 2, 2, 2, 2], min_length=1, description="strides")
    conv_bias: bool = Field(False, description="biases of the convolutions")
    conv_norm: Literal["group", "layer"] = Field(
        "group", description="group: each channel of the first layer over time (base); layer: all layers (large)"
    )
    mask_padding: bool = Field(
        True, description="the group norm does not see padding; false: padding changes every state, as in transformers"
    )
    activation: Activation = "gelu"
    projection_norm: bool = Field(True, description="LayerNorm before the projection")
    norm_eps: float = Field(1e-5, gt=0, description="of the norm before the projection")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the projected frames")
    mask_vector: bool = Field(True, description="a learned vector for masked frames")
    mask_feature_prob: float = Field(
        0.0, ge=0, le=1, description="part of the channels that training sets to zero, in spans"
    )
    mask_feature_length: int = Field(10, gt=0, description="channels of a span")
    mask_feature_min_masks: int = Field(0, ge=0, description="spans at least")
    gradient_scale: float = Field(
        1.0, ge=0, description="factor of the convolutions' gradients: 0.1 in pre-training, 0 freezes them"
    )

    def effective(self, context: BuildContext) -> dict[str, Any]:
        # A recording alone has the same states with either mask_padding; the others are for training only.
        idle = {"mask_padding", "gradient_scale"} | ({"norm_eps"} if not self.projection_norm else set())
        found = super().effective(context).items()
        return {name: value for name, value in found if name not in idle and not name.startswith("mask_feature")}

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"input_values": FieldSpec(("batch", "length"), "float32")}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"side:latents": FieldSpec(("batch", "length", self.channels[-1]), "float32")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        for option in ("kernels", "strides"):
            count = len(getattr(self, option))
            if count != len(self.channels):
                yield Problem(option, f"has {count} values, and channels {len(self.channels)}; one for each layer")
        if self.mask_feature_prob and self.mask_feature_length > context.embedding_size:
            message = f"is {self.mask_feature_length}, more than the {context.embedding_size} channels"
            yield Problem("mask_feature_length", message)

    def build(self, context: BuildContext) -> "Embedding":
        from tp_audio.embeddings.waveform import Waveform

        return Waveform(self, context)


class ConvolutionalPositionConfig(EmbeddingConfig):
    """Relative positions by one wide grouped convolution (wav2vec 2.0; Baevski et al., 2020)."""

    makes_sequence: ClassVar[bool] = False

    kernel_size: int = Field(128, gt=0, description="frames that the convolution sees")
    groups: int = Field(16, gt=0)
    activation: Activation = "gelu"

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.embedding_size % self.groups:
            yield Problem("groups", f"{self.groups} does not divide the {context.embedding_size} channels")

    def build(self, context: BuildContext) -> "Embedding":
        from tp_audio.embeddings.conv_pos import ConvolutionalPosition

        return ConvolutionalPosition(self, context)


class WavLMEncoderConfig(EncoderConfig, TransformerOptions):
    """Transformer whose relative position bias is gated by the states (WavLM; Chen et al., 2022)."""

    mask: Literal["fully_visible"] = Field("fully_visible", description="which positions a position may see")
    position_encoding: Literal["relative"] = Field("relative", description="positions that belong to attention")
    residual_attention: Literal[False] = Field(False, description="not together with gated positions")
    relative_buckets: int = Field(320, gt=3, description="buckets of distances, half of them for each direction")
    relative_max_distance: int = Field(800, gt=1, description="distance from which all fall into the last bucket")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_attention(self.hidden_size)

    def build(self, context: BuildContext) -> "Encoder":
        from tp_audio.encoders.wavlm import WavLMEncoder

        return WavLMEncoder(self, context)
