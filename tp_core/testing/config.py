"""Options of the kit's own modules, which stand around the module that is checked. Torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, TargetConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target


class ContentConfig(EmbeddingConfig):
    """One learned vector per id: content for modules that need some."""

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"input_ids": FieldSpec(high=context.vocab_size)}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"weight:word": FieldSpec((context.vocab_size, context.embedding_size), "float32")}

    def build(self, context: BuildContext) -> Embedding:
        from tp_core.testing.surroundings import Content

        return Content(self, context)


class ReadoutConfig(TargetConfig):
    """A loss that every real position has a part in; needs no labels."""

    def build(self, context: BuildContext) -> Target:
        from tp_core.testing.surroundings import Readout

        return Readout(context)
