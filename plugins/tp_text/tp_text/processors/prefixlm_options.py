"""Options of prefix language modelling. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.scoring.texts_options import TextMetricOptions

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class PrefixLmProcessorConfig(TextMetricOptions, TextProcessorConfig):
    """A prefix with bidirectional attention and a causal continuation: pairs, or text split at random (UniLM)."""

    terms: ClassVar[Mapping[str, str]] = {
        "prefix_loss": "prefix_lm_loss train_on_prompt",
    }

    implementation: ClassVar[str] = "tp_text.processors.prefixlm:PrefixLmProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "prefix_loss"})
    optional_fields: ClassVar[frozenset[str]] = frozenset({"target", "text_b"})

    prefix_loss: bool = Field(
        False, description="also predict the tokens of the prefix, whose attention is then causal"
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        prefix = {} if self.prefix_loss else {Port.input("prefix_lengths"): FieldSpec(("batch",))}
        return super().provides(context) | prefix | {Port.labels("lm"): FieldSpec()}

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return 2

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from super().check_tokenizer(tokenizer)
        if not {"eos", "sep"} & set(tokenizer.special):
            yield Problem("", "the vocabulary has no token for the end of a text: expected eos or sep")
