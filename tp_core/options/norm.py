"""Base of options of norms. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    from torch import nn


class NormConfig(ModuleConfig):
    """Base of norm configs. An implementation is made with the options and the width, and keeps the shape of states."""

    kind: ClassVar[str] = "norm"

    def build(self, size: int) -> "nn.Module":
        """The norm: its implementation with these options.

        Args:
            size: width of the states, the last dimension.
        """
        made: nn.Module = self.implemented()(self, size)
        return made
