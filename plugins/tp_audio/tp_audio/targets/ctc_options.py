"""Options of the target ``ctc``. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class CTCConfig(TargetConfig):
    """Connectionist temporal classification: predicts tokens in order, without an alignment (Graves et al., 2006)."""

    implementation: ClassVar[str] = "tp_audio.targets.ctc:CTC"

    blank: int = Field(
        0, ge=0, description="id of the blank; usually the padding token's id, because texts never contain it"
    )
    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout before the output matrix")
    average: TrainingOnly[Literal["tokens", "samples", "mean"]] = Field(
        "tokens",
        description="divisor of the summed losses; tokens: the number of tokens of all texts; samples: the number of "
        "samples; mean: each sample's loss is divided by its own number of tokens, and the sum by the number of "
        "samples (reduction 'mean' of torch)",
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("ctc"): FieldSpec(high=context.vocab_size)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        # A text must be shorter than its recording, so that CTC can align it.
        return {"labels": FieldSpec(("batch", 3), high=context.vocab_size)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.blank >= context.vocab_size:
            yield Problem("blank", f"is {self.blank}, but the vocabulary only has ids below {context.vocab_size}")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        # too_long depends on the data and on the model's strides, so neither high nor low values are better.
        return {"token_error_rate": MetricFacts("low"), "too_long": MetricFacts(None)}
