"""Options of the stand-ins around a module under test. Torch-free."""

from typing import ClassVar

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import INPUT_IDS, WORD, Port
from tp_core.options.target import TargetConfig


class ContentConfig(EmbeddingConfig):
    """One learned vector per id: content for modules that need some."""

    implementation: ClassVar[str] = "tp_core.testing.surroundings:Content"

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_IDS: FieldSpec(high=context.vocab_size)}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {WORD: FieldSpec((context.vocab_size, context.embedding_size), "float32")}


class ReadoutConfig(TargetConfig):
    """A loss that every real position has a part in; needs no labels."""

    implementation: ClassVar[str] = "tp_core.testing.surroundings:Readout"
