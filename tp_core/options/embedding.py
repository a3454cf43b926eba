"""Base of options of embeddings. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding


class EmbeddingConfig(ModuleConfig):
    """Base of embedding configs. ``embedding_size`` unset follows the model's."""

    kind: ClassVar[str] = "embedding"

    #: The module makes content and so can stand first; positions and segments only add to a sequence.
    makes_sequence: ClassVar[bool] = True

    embedding_size: int | None = Field(None, gt=0, description="width of the vectors; the model's if unset")

    def length_limit(self) -> int | None:
        """The longest sequence that this embedding can represent; None if there is no limit."""
        return None

    def positions(self, inputs: int) -> int:
        """The positions that it makes of an input of some length: as many, unless it makes sequences shorter."""
        return inputs

    def places(self) -> int | None:
        """The most positions of the embedding's sequences, where its options say; None where inputs decide."""
        return None

    def build(self, context: BuildContext) -> "Embedding":
        """The embedding: its implementation with these options."""
        made: Embedding = self.implemented()(self, context)
        return made
