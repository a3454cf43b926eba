"""Options of running text. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import INPUT_IDS, LENGTHS, Port
from tp_text.processors.text_options import PACK, TextProcessorConfig


class LmProcessorConfig(TextProcessorConfig):
    """One document per line, packed into full rows for a causal language model (GPT-2)."""

    terms: ClassVar[Mapping[str, str]] = {
        "truncation_side": "truncation",
        "pack": "full_sentences packing sample_packing group_texts",
    }

    implementation: ClassVar[str] = "tp_text.processors.lm:LmProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("eos",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "truncation_side"})

    pack: bool = Field(True, description=PACK)
    isolate_documents: bool = Field(
        False, description="restart positions at each document; attention stays within a document"
    )
    truncation_side: Literal["left", "right"] = Field(
        "left", description="side on which long texts are cut for predictions and vectors"
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        names = [
            INPUT_IDS,
            *([Port.input("document_ids"), Port.input("position_ids")] if self.isolate_documents else []),
        ]
        return {name: FieldSpec() for name in names} | {LENGTHS: FieldSpec(("batch",)), Port.labels("lm"): FieldSpec()}
