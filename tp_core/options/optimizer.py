"""Base of options of optimizers. Torch-free."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    import torch


class OptimizerConfig(ModuleConfig):
    """Base of optimizer configs. An implementation is a ``torch.optim.Optimizer`` made from parameter groups.

    Each group has ``params``, ``lr`` and every option of the config, with lists as tuples. A
    :class:`tp_core.training.optimizers.base.Optimizer` skips non-finite steps on the device, so the host does not wait.
    For any other optimizer, the host checks each step before it runs.
    """

    kind: ClassVar[str] = "optimizer"

    #: False if the update of a value depends on the others of its weight, so that weights must not be cut anywhere.
    elementwise: ClassVar[bool] = True

    lr: float = Field(1e-4, gt=0, description="peak learning rate, which the schedule scales")
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="decoupled weight decay: each update also subtracts lr × weight_decay × weight",
    )
    decay_all: bool = Field(False, description="apply weight decay to biases and norm weights, too")

    def state_memory(self, parameters: "Iterable[torch.Tensor]") -> int:
        """Bytes of optimizer state for these parameters; by default two values per weight, as for Adam."""
        return 2 * sum(each.numel() * each.element_size() for each in parameters)

    def build(self, groups: Iterable[dict[str, Any]]) -> "torch.optim.Optimizer":
        """The optimizer for parameter groups that have all options (``tp_core.training.optimizers.build``)."""
        made: torch.optim.Optimizer = self.implemented()([*groups])
        return made
