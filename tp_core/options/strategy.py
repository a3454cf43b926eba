"""Base of options of strategies. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig, Problem

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.strategies.base import Strategy


class StrategyConfig(ModuleConfig):
    """Base of strategy configs. An implementation is made with the options."""

    kind: ClassVar[str] = "strategy"

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        """Yield conflicts with the rest of the spec."""
        yield from ()

    def build(self) -> "Strategy":
        """The strategy of this process.

        Raises:
            TPError: the strategy does not support the number of started processes.
        """
        made: Strategy = self.implemented()(self)
        return made
