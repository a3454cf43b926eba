"""Options of the speech embedding and of the CTC target. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, Problem, TargetConfig
from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target

Positive = Annotated[int, Field(gt=0)]


class SpeechConfig(EmbeddingConfig):
    """Speech embedding: filter banks, made shorter by gated convolutions over time (Speech2Text; Wang et al., 2020)."""

    num_mel_bins: int = Field(80, gt=0, description="filter banks of each frame")
    kernel_sizes: list[Positive] = Field([5, 5], min_length=1, description="frames that each convolution sees")
    strides: list[Positive] = Field([2, 2], min_length=1, description="frames from one output to the next, of each")
    channels: int = Field(1024, gt=1, description="filters of all convolutions but the last, half of them gates")
    scale: bool = Field(False, description="multiply by sqrt(embedding_size) (Speech2Text)")
    mask_padding: bool = Field(
        True,
        description="no convolution sees padding; false: the last states of a recording depend on how much of it "
        "there is in the batch, as in transformers' Speech2Text",
    )
    init_std: float | None = Field(
        None,
        gt=0,
        description="standard deviation of the initial weights; sqrt(3 / inputs of a filter) if unset, which keeps "
        "the variance through the gates",
    )

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"input_features": FieldSpec(("batch", "length", self.num_mel_bins), "float32")}

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

    def build(self, context: BuildContext) -> "Embedding":
        from tp_audio.embeddings.speech import Speech

        return Speech(self, context)


class CTCConfig(TargetConfig):
    """Connectionist temporal classification: tokens in order, at times of the model's choice (Graves et al., 2006)."""

    blank: int = Field(0, ge=0, description="id that stands for no token; the padding token's, as texts never hold it")
    dropout: float = Field(0.0, ge=0, lt=1, description="before the output matrix")
    average: Literal["tokens", "samples", "mean"] = Field(
        "tokens",
        description="what the sum of losses is divided by: the tokens of all texts, or the number of samples; mean: "
        "each sample's loss by its own tokens, then by the samples (torch's reduction of this name)",
    )
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:ctc": FieldSpec(high=context.vocab_size)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        # A text is shorter than its recording: of as many tokens as states, most could not be said.
        return {"ctc:labels": FieldSpec(("batch", 3), high=context.vocab_size)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.blank >= context.vocab_size:
            yield Problem("blank", f"is {self.blank}, and the vocabulary has the ids below {context.vocab_size}")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        # Whether a text has room is a matter of the data and of how much the model shortens recordings.
        return {"token_error_rate": MetricFacts("low"), "too_long": MetricFacts(None)}

    def build(self, context: BuildContext) -> "Target":
        from tp_audio.targets.ctc import CTC

        return CTC(self, context)
