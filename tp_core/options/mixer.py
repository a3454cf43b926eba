"""Base of options of mixers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext

if TYPE_CHECKING:
    from tp_core.interfaces.layer_parts import Mixer


class MixerConfig(ModuleConfig):
    """Base of mixer configs: the part of a transformer layer that exchanges information between positions.

    Options that the transformer also has default to its values: ``num_heads``, ``mask``, ``dropout``,
    ``init_std``.
    """

    kind: ClassVar[str] = "mixer"

    def causal(self) -> bool:
        """True if no position sees later ones, except within a prefix that all positions see."""
        return False

    def build(self, context: BuildContext) -> "Mixer":
        """The mixer: its implementation with these options; ``context.hidden_size`` is the width of the states."""
        made: Mixer = self.implemented()(self, context)
        return made
