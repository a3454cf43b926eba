"""Options of instructions and chats. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import INPUT_IDS, LENGTHS, Port
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.scoring.texts_options import TextMetricOptions


class InstructionProcessorConfig(TextMetricOptions, TextProcessorConfig):
    """Instruction tuning: a causal language model learns the answers of conversations.

    The options give the texts before and after each turn. Each answer ends with the end-of-text token.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "pack": "full_sentences packing sample_packing group_texts",
    }

    implementation: ClassVar[str] = "tp_text.processors.instruction:InstructionProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("eos",)
    optional_fields: ClassVar[frozenset[str]] = frozenset({"output"})

    max_length: int = Field(
        512,
        gt=3,
        description="maximum sequence length, including special tokens; default: the model's limit, if it has one",
    )
    pack: bool = Field(
        False, description="pack several conversations into a row; attention does not cross between them"
    )
    system_prefix: str = Field("<|system|>\n", description="text before a system message")
    system_suffix: str = Field("\n", description="text after a system message")
    user_prefix: str = Field("<|user|>\n", description="text before a user's message")
    user_suffix: str = Field("\n", description="text after a user's message")
    assistant_prefix: str = Field("<|assistant|>\n", description="text before an answer")
    assistant_suffix: str = Field("", description="text after an answer, before the end-of-text token")
    system: str | None = Field(None, description="system message for conversations without one")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.pack and self.metrics:
            yield Problem("metrics", "need a conversation per row, but pack is true")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        names = [INPUT_IDS, *([Port.input("document_ids"), Port.input("position_ids")] if self.pack else [])]
        return {name: FieldSpec() for name in names} | {LENGTHS: FieldSpec(("batch",)), Port.labels("lm"): FieldSpec()}
