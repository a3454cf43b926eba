"""Options of BERT's sentence pairs. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.masking_options import MASKING_OPTIONS, MaskingOptions
from tp_text.processors.text_options import TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class BertProcessorConfig(TextProcessorConfig, MaskingOptions):
    """Pairs of document segments with masked tokens, for next-sentence (BERT) or sentence-order prediction (ALBERT)."""

    terms: ClassVar[Mapping[str, str]] = {
        "short_rate": "short_seq_prob",
    }

    implementation: ClassVar[str] = "tp_text.processors.bert:BertProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad", "mask")
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS

    sentence_task: Literal["next", "order", "none"] = Field(
        "next",
        description="next: does the second segment follow the first; order: are the two swapped; none: one segment",
    )
    short_rate: float = Field(0.1, ge=0, le=1, description="share of rows that are filled to a random shorter length")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        labels = {Port.labels("mlm"): FieldSpec()}
        if self.sentence_task != "none":
            labels[Port.labels("sp")] = FieldSpec(("batch",))
        return super().provides(context) | labels

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return tokenizer.segments[self.sentence_task != "none"]

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_masking()
