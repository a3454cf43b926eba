"""Options of text with a prefix. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.text_options import TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class PrefixLmProcessorConfig(TextProcessorConfig):
    """A prefix that is read as a whole and its continuation, token by token: pairs, or text cut at random (UniLM)."""

    implementation: ClassVar[str] = "tp_text.processors.prefixlm:PrefixLmProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "prefix_loss"})
    optional_fields: ClassVar[frozenset[str]] = frozenset({"target", "text_b"})

    prefix_loss: bool = Field(
        False, description="predict the tokens of the prefix, too, which is then read token by token"
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
