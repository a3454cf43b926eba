"""Options of the transformer encoder. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import CAUSAL, Port


class TransformerConfig(EncoderConfig, TransformerOptions):
    """Transformer encoder (Vaswani et al., 2017); each layer has a mixer, a feed-forward layer and norms."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.transformer:TransformerEncoder"

    embedding_projection: bool = Field(
        False, description="dense layer after the embeddings, even if embedding_size equals hidden_size (FNet)"
    )

    def effective(self, context: BuildContext) -> dict[str, Any]:
        projected = self.embedding_projection or context.embedding_size != context.hidden_size
        return super().effective(context) | {"embedding_projection": projected}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()} if self.causal() else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_stack()
