"""Base of options of positions inside attention. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext

if TYPE_CHECKING:
    from tp_core.interfaces.layer_parts import Positions, PositionTable


class PositionsConfig(ModuleConfig):
    """Base of configs of positions inside attention: they rotate queries and keys, or add a bias to the scores.

    ``context.fact(HeadFacts)`` gives the heads of the attention layer. Layers with equal options and equal heads share
    one :attr:`table`, which is computed once per forward pass.
    """

    kind: ClassVar[str] = "positions"
    implementation: ClassVar[str] = "tp_core.interfaces.layer_parts:Positions"

    #: The class of the part that layers with equal options share, written like :attr:`implementation`; empty: none.
    table: ClassVar[str] = ""

    def of_layer(self) -> bool:
        """True if each layer has its own bias on the scores, instead of one bias for all layers."""
        return False

    def build(self, context: BuildContext) -> "Positions":
        """The part of one layer: its implementation with these options."""
        made: Positions = self.implemented()(self, context)
        return made

    def build_table(self, context: BuildContext) -> "PositionTable | None":
        """The part that layers with equal options share; None if there is none."""
        made: PositionTable | None = self.class_of("table")(self, context) if self.table else None
        return made
