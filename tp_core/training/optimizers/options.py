"""Options of the optimizers. Torch-free."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.optimizer import OptimizerConfig

if TYPE_CHECKING:
    import torch

#: Decay factor of a moving average.
Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov & Hutter, 2019), fused."""

    implementation: ClassVar[str] = "tp_core.training.optimizers.adamw:AdamW"

    betas: list[Beta] = Field(
        [0.9, 0.999],
        min_length=2,
        max_length=2,
        description="decay of the averages of gradients and squared gradients",
    )
    eps: float = Field(1e-8, gt=0, description="value added to the root of the average of squares")
    bias_correction: bool = Field(True, description="false: as in BERT, with larger first steps")


class AdafactorConfig(OptimizerConfig):
    """Adafactor (Shazeer & Stern, 2018): second moments by row and column, with the schedule's learning rate."""

    elementwise: ClassVar[bool] = False
    implementation: ClassVar[str] = "tp_core.training.optimizers.adafactor:Adafactor"

    lr: float = Field(
        1e-3,
        gt=0,
        description="peak learning rate, which the schedule scales; about the change of a weight per update",
    )
    beta2_decay: float = Field(
        -0.8,
        le=0,
        description="exponent of t for the weight of the squared gradient in the moments at update t",
    )
    eps: list[Annotated[float, Field(gt=0)]] = Field(
        [1e-30, 1e-3],
        min_length=2,
        max_length=2,
        description="value added to squared gradients, and minimum root mean square of a weight for scale_parameter",
    )
    clip_threshold: float = Field(
        1.0, gt=0, description="maximum root mean square of a weight's update, in units of lr"
    )
    beta1: Beta | None = Field(None, description="decay of a moving average of updates, as momentum; null: none")
    scale_parameter: bool = Field(False, description="multiply each weight's updates by the weight's root mean square")
    relative_step: bool = Field(
        False,
        description="limit lr at update t to 1/√t; as in the paper with lr 0.01, constant and scale_parameter",
    )

    def state_memory(self, parameters: "Iterable[torch.Tensor]") -> int:
        """One value per row and per column of each matrix; vectors keep one value per element."""
        size = 0
        for each in parameters:
            rows = each.numel() // each.shape[-1] + each.numel() // each.shape[-2] if each.dim() > 1 else each.numel()
            size += (rows + (0 if self.beta1 is None else each.numel())) * each.element_size()
        return size


class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum and decoupled weight decay, fused (SGDW; Loshchilov & Hutter, 2019)."""

    implementation: ClassVar[str] = "tp_core.training.optimizers.sgd:Sgd"

    lr: float = Field(0.01, gt=0, description="peak learning rate, which the schedule scales")
    momentum: Beta = Field(0.9, description="decay factor of the sum of earlier gradients")
    nesterov: bool = Field(False, description="use Nesterov momentum")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.nesterov and not self.momentum:
            yield Problem("nesterov", "looks ahead along the momentum, which is 0")

    def state_memory(self, parameters: "Iterable[torch.Tensor]") -> int:
        return super().state_memory(parameters) // 2 if self.momentum else 0


class LionConfig(OptimizerConfig):
    """Lion (Chen et al., 2023): the sign of an interpolated momentum."""

    implementation: ClassVar[str] = "tp_core.training.optimizers.lion:Lion"

    lr: float = Field(
        3e-5, gt=0, description="peak learning rate, which the schedule scales; at most a third of AdamW's"
    )
    betas: list[Beta] = Field(
        [0.9, 0.99],
        min_length=2,
        max_length=2,
        description="interpolation of the update; decay of the momentum",
    )

    def state_memory(self, parameters: "Iterable[torch.Tensor]") -> int:
        return super().state_memory(parameters) // 2
