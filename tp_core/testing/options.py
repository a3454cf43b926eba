"""Options of the stand-in modules around a module under test. Torch-free."""

from typing import ClassVar

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import INPUT_IDS, WORD, Port
from tp_core.options.target import TargetConfig


class ContentConfig(EmbeddingConfig):
    """One learned vector per id, for modules that need an embedding before them."""

    implementation: ClassVar[str] = "tp_core.testing.surroundings:Content"

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_IDS: FieldSpec(high=context.vocab_size)}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {WORD: FieldSpec((context.vocab_size, context.embedding_size), "float32")}


class ReadoutConfig(TargetConfig):
    """A loss over all real positions, without labels."""

    implementation: ClassVar[str] = "tp_core.testing.surroundings:Readout"
