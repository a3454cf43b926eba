"""Options of the waveform embedding. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from tp_audio.ports import INPUT_VALUES
from tp_core.modules.layers.activation_names import Activation
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port


def frames_of(samples: int, kernels: list[int], strides: list[int]) -> int:
    """The number of output frames of a stack of unpadded convolutions for ``samples`` samples; 0 if too few."""
    for kernel, stride in zip(kernels, strides):
        samples = (samples - kernel) // stride + 1
    return max(samples, 0)


def shortest(kernels: list[int], strides: list[int], frames: int = 1) -> int:
    """The smallest number of samples for which a stack of unpadded convolutions outputs ``frames`` frames."""
    for kernel, stride in zip(reversed(kernels), reversed(strides)):
        frames = (frames - 1) * stride + kernel
    return frames


class WaveformConfig(EmbeddingConfig):
    """Raw waveform: strided convolutions, norm and projection (wav2vec 2.0; Baevski et al., 2020).

    If the batch has ``mask_time_indices`` (batch, frames), a learned vector replaces those frames.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "channels": "num_channels in_chans in_channels channels_num",
    }

    implementation: ClassVar[str] = "tp_audio.embeddings.waveform:Waveform"

    channels: ModelSize[list[PositiveInt]] = Field([512] * 7, min_length=1, description="channels of each convolution")
    kernels: list[PositiveInt] = Field([10, 3, 3, 3, 3, 2, 2], min_length=1, description="kernel sizes")
    strides: list[PositiveInt] = Field([5, 2, 2, 2, 2, 2, 2], min_length=1, description="strides")
    conv_bias: bool = Field(False, description="biases of the convolutions")
    conv_norm: Literal["group", "layer"] = Field(
        "group",
        description="group: normalise each channel of the first layer over time (base models); layer: layer norm "
        "after each convolution (large models)",
    )
    mask_padding: bool = Field(
        True, description="exclude padding from the group norm; false: padding changes all states, as in transformers"
    )
    activation: Activation = "gelu"
    projection_norm: bool = Field(True, description="LayerNorm before the projection")
    norm_eps: float = Field(1e-5, gt=0, description="epsilon of the norm before the projection")
    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout on the projected frames")
    mask_vector: bool = Field(True, description="learn a vector that replaces masked frames")
    mask_feature_prob: float = Field(
        0.0, ge=0, le=1, description="share of the channels that are set to zero in training, in spans"
    )
    mask_feature_length: int = Field(10, gt=0, description="channels per span")
    mask_feature_min_masks: int = Field(0, ge=0, description="minimum number of spans")
    gradient_scale: float = Field(
        1.0, ge=0, description="factor of the convolutions' gradients: 0.1 in pre-training; 0 freezes the convolutions"
    )

    def effective(self, context: BuildContext) -> dict[str, Any]:
        # mask_padding does not change a recording in a batch of its own. The other options only apply to training.
        idle = {"mask_padding", "gradient_scale"} | ({"norm_eps"} if not self.projection_norm else set())
        found = super().effective(context).items()
        return {name: value for name, value in found if name not in idle and not name.startswith("mask_feature")}

    def positions(self, inputs: int) -> int:
        return frames_of(inputs, self.kernels, self.strides)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_VALUES: FieldSpec(("batch", "length"), "float32")}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("latents"): FieldSpec(("batch", "length", self.channels[-1]), "float32")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        for option in ("kernels", "strides"):
            count = len(getattr(self, option))
            if count != len(self.channels):
                yield Problem(option, f"has {count} values, but channels has {len(self.channels)}; give one per layer")
        if self.mask_feature_prob and self.mask_feature_length > context.embedding_size:
            message = f"is {self.mask_feature_length}, more than the {context.embedding_size} channels"
            yield Problem("mask_feature_length", message)
