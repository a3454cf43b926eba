"""Options of connectionist temporal classification. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class CTCConfig(TargetConfig):
    """Connectionist temporal classification: tokens in order, at times of the model's choice (Graves et al., 2006)."""

    implementation: ClassVar[str] = "tp_audio.targets.ctc:CTC"

    blank: int = Field(0, ge=0, description="id that stands for no token; the padding token's, as texts never hold it")
    dropout: float = Field(0.0, ge=0, lt=1, description="before the output matrix")
    average: Literal["tokens", "samples", "mean"] = Field(
        "tokens",
        description="what the sum of losses is divided by: the tokens of all texts, or the number of samples; mean: "
        "each sample's loss by its own tokens, then by the samples (torch's reduction of this name)",
    )
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("ctc"): FieldSpec(high=context.vocab_size)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        # A text is shorter than its recording: of as many tokens as states, most could not be said.
        return {"labels": FieldSpec(("batch", 3), high=context.vocab_size)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.blank >= context.vocab_size:
            yield Problem("blank", f"is {self.blank}, and the vocabulary has the ids below {context.vocab_size}")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        # Whether a text has room is a matter of the data and of how much the model shortens recordings.
        return {"token_error_rate": MetricFacts("low"), "too_long": MetricFacts(None)}
