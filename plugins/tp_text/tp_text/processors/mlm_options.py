"""Options of masked text. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.masking_options import MASKING_OPTIONS, MaskingOptions
from tp_text.processors.text_options import PACK, TextProcessorConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class MlmProcessorConfig(TextProcessorConfig, MaskingOptions):
    """One document per line, masked tokens, no pairs (RoBERTa)."""

    terms: ClassVar[Mapping[str, str]] = {
        "pack": "full_sentences packing sample_packing group_texts",
    }

    implementation: ClassVar[str] = "tp_text.processors.mlm:MlmProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("cls", "sep", "pad", "mask")
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad"}) | MASKING_OPTIONS

    pack: bool = Field(True, description=PACK)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("mlm"): FieldSpec()}

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return tokenizer.segments[0]

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_masking()
