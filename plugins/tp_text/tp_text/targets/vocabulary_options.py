"""Shared options of targets that predict tokens. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import WORD, Port
from tp_core.options.target import TargetConfig


class VocabularyTargetConfig(TargetConfig):
    """Shared options of targets that predict tokens."""

    terms: ClassVar[Mapping[str, str]] = {
        "tie": (
            "tie_weights tie_word_embeddings tie_embeddings tied_embeddings weight_tying tie_output "
            "share_decoder_input_output_embed"
        ),
    }

    #: Name, in messages, of the states that the output matrix reads.
    read_states: ClassVar[str] = "the hidden states"

    tie: bool = Field(True, description="use the word embedding as the output matrix")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def tied_width(self, context: BuildContext) -> int:
        """Width of the states that the output matrix reads."""
        return context.hidden_size

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        shape = (context.vocab_size, self.tied_width(context))
        return {WORD: FieldSpec(shape, "float32")} if self.tie else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        width = self.tied_width(context)
        if self.tie and context.embedding_size != width:
            widths = f"{context.embedding_size}, {self.read_states} {width}"
            yield Problem("tie", f"tied weights need equal widths: the embedding's is {widths}; set tie: false")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}
