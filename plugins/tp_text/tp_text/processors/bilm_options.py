"""Options of text for a language model in both directions. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, Port
from tp_text.processors.text_options import PACK, TextProcessorConfig


class BidirectionalLmProcessorConfig(TextProcessorConfig):
    """One document per line, packed into full rows for a forward and a backward language model (ELMo)."""

    implementation: ClassVar[str] = "tp_text.processors.bilm:BidirectionalLmProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    terms: ClassVar[Mapping[str, str]] = {
        "pack": "full_sentences packing sample_packing group_texts",
    }

    pack: bool = Field(True, description=PACK)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {name: FieldSpec() for name in (INPUT_IDS, ATTENTION_MASK, Port.labels("bilm"))}
