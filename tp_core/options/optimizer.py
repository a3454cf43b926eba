"""Base of options of optimizers. Torch-free."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    import torch


class OptimizerConfig(ModuleConfig):
    """Base of optimizer configs. An implementation is a ``torch.optim.Optimizer``, made of parameter groups.

    Each group has ``params``, ``lr`` and every option of the config, lists as tuples. An implementation that is a
    :class:`tp_core.training.optimizers.base.Optimizer` leaves out a step that is not finite without the host waiting;
    of any other the host looks at each step before it is made.
    """

    kind: ClassVar[str] = "optimizer"

    lr: float = Field(1e-4, gt=0, description="peak learning rate, which the schedule scales")
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="decoupled: an update takes lr × weight_decay of each weight away, whatever its gradient",
    )
    decay_all: bool = Field(False, description="decay biases and normalisation weights too")

    def state_memory(self, parameters: "Iterable[torch.Tensor]") -> int:
        """Bytes of its state for these parameters, as far as options say: two values for each weight, as Adam has."""
        return 2 * sum(each.numel() * each.element_size() for each in parameters)

    def build(self, groups: Iterable[dict[str, Any]]) -> "torch.optim.Optimizer":
        """The optimizer of parameter groups that have all options (``tp_core.training.optimizers.build``)."""
        made: torch.optim.Optimizer = self.implemented()([*groups])
        return made
