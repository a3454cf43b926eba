"""Base of options of feed-forward layers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext

if TYPE_CHECKING:
    from tp_core.interfaces.layer_parts import FeedForward


class FeedForwardConfig(ModuleConfig):
    """Base of feed-forward configs: the part of a transformer layer that works on each position alone.

    Options that the transformer also has default to its values: ``feed_forward_size``, ``init_std``.
    """

    kind: ClassVar[str] = "feed_forward"

    def build(self, context: BuildContext) -> "FeedForward":
        """The layer: its implementation with these options; ``context.hidden_size`` is the width of the states."""
        made: FeedForward = self.implemented()(self, context)
        return made
