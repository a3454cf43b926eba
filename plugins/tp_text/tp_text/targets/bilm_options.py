"""Options of bidirectional language modelling. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import TWO_DIRECTIONS, Port
from tp_text.targets.vocabulary_options import VocabularyTargetConfig


class BidirectionalLanguageModelConfig(VocabularyTargetConfig):
    """Bidirectional language model: predict the next and the previous token (ELMo; Peters et al., 2018)."""

    implementation: ClassVar[str] = "tp_text.targets.bilm:BidirectionalLanguageModel"
    read_states: ClassVar[str] = "one direction's"

    tie: bool = Field(
        False, description="use the word embedding as the output matrix; its width must be that of one direction"
    )
    bias: bool = Field(True, description="bias of the output matrix")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        labels = {Port.labels("bilm"): FieldSpec(high=context.vocab_size)}
        return super().requires(context) | labels | {TWO_DIRECTIONS: FieldSpec()}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {direction: FieldSpec(high=context.vocab_size) for direction in ("forward", "backward")}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return dict.fromkeys(["accuracy", "accuracy_forward", "accuracy_backward"], MetricFacts("high"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.hidden_size % 2:
            yield Problem("", f"hidden_size is {context.hidden_size}, but must be even: the states hold two directions")
        else:
            yield from super().check(context)

    def tied_width(self, context: BuildContext) -> int:
        """Width of one direction's states."""
        return context.hidden_size // 2
