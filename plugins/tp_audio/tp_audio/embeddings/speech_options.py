"""Options of the speech embedding. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tp_audio.ports import INPUT_FEATURES
from tp_core.options.base import Equivalent, Problem
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port

Positive = Annotated[int, Field(gt=0)]


class SpeechConfig(EmbeddingConfig):
    """Speech embedding: filter banks, shortened by gated convolutions over time (Speech2Text; Wang et al., 2020)."""

    terms: ClassVar[Mapping[str, str]] = {
        "channels": "num_channels in_chans in_channels channels_num",
    }

    implementation: ClassVar[str] = "tp_audio.embeddings.speech:Speech"

    num_mel_bins: ModelSize[int] = Field(80, gt=0, description="number of filter banks per frame")
    kernel_sizes: list[Positive] = Field([5, 5], min_length=1, description="kernel size of each convolution, in frames")
    strides: list[Positive] = Field([2, 2], min_length=1, description="stride of each convolution, in frames")
    channels: ModelSize[int] = Field(
        1024, gt=1, description="filters of each convolution except the last; half of the filters are gates"
    )
    scale: bool = Field(False, description="multiply by sqrt(embedding_size) (Speech2Text)")
    mask_padding: bool = Field(
        True,
        description="hide padding from the convolutions; false: the last states of a recording depend on the amount "
        "of padding in the batch, as in transformers' Speech2Text",
    )
    whole_steps: bool = Field(
        False,
        description="hide the state of a recording's last frames if they are fewer than the product of the strides",
    )
    init_std: TrainingOnly[float | None] = Field(
        None,
        gt=0,
        description="standard deviation of the initial weights; default: sqrt(3 / inputs of a filter), which keeps "
        "the variance constant through the gates",
    )

    def equivalents(self) -> Iterable[Equivalent]:
        """The same embedding, which also shows the state of the last frames."""
        if not self.whole_steps:
            return []
        reason = "the state of a recording's last frames is seen if they are fewer than the strides"
        return [Equivalent(self.model_copy(update={"whole_steps": False}), difference=reason)]

    def positions(self, inputs: int) -> int:
        for stride in self.strides:
            inputs = (inputs + stride - 1) // stride
        return inputs

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_FEATURES: FieldSpec(("batch", "length", self.num_mel_bins), "float32")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if len(self.strides) != len(self.kernel_sizes):
            yield Problem("strides", f"gives {len(self.strides)} strides for {len(self.kernel_sizes)} kernel_sizes")
        even = [size for size in self.kernel_sizes if size % 2 == 0]
        if even:
            yield Problem("kernel_sizes", f"must be odd, so that a filter is centred on its frame; got {even[0]}")
        if self.channels % 2:
            yield Problem("channels", f"must be even, as half of them are gates; got {self.channels}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        return found if len(self.kernel_sizes) > 1 else {k: v for k, v in found.items() if k != "channels"}
