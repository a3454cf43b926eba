"""Options of the encoder without layers. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import CAUSAL, Port


class IdentityConfig(EncoderConfig):
    """No encoder: the states are the embeddings (word2vec; Mikolov et al., 2013)."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.identity:IdentityEncoder"

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.hidden_size != context.embedding_size:
            message = f"is {self.hidden_size}, but the embeddings, which are the states, are {context.embedding_size}"
            yield Problem("hidden_size", f"{message} wide")
