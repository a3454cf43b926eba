"""Base of options of embeddings. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding


class EmbeddingConfig(ModuleConfig):
    """Base of embedding configs. ``embedding_size`` defaults to the model's."""

    kind: ClassVar[str] = "embedding"

    #: True if the module produces content and may come first; positions and segments only add to a sequence.
    makes_sequence: ClassVar[bool] = True

    embedding_size: int | None = Field(None, gt=0, description="width of the vectors; default: the model's")

    def length_limit(self) -> int | None:
        """The longest sequence that this embedding can represent; None if there is no limit."""
        return None

    def positions(self, inputs: int) -> int:
        """Number of positions that the module makes from an input; equal to ``inputs`` unless it shortens sequences."""
        return inputs

    def places(self) -> int | None:
        """Maximum number of positions of a sequence, if the options determine it; None if it depends on the inputs."""
        return None

    def build(self, context: BuildContext) -> "Embedding":
        """The embedding: its implementation with these options."""
        made: Embedding = self.implemented()(self, context)
        return made
