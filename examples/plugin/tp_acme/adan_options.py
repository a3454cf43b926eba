"""Options of the optimizer ``acme.adan``. Torch-free."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from tp_core import OptimizerConfig

if TYPE_CHECKING:
    import torch

Beta = Annotated[float, Field(ge=0, lt=1)]


class AdanConfig(OptimizerConfig):
    """Adan (Xie et al., 2022): adaptive Nesterov momentum from the differences of successive gradients."""

    implementation: ClassVar[str] = "tp_acme.adan:Adan"

    lr: float = Field(1e-3, gt=0, description="peak learning rate; the schedule scales it")
    betas: list[Beta] = Field(
        [0.98, 0.92, 0.99],
        min_length=3,
        max_length=3,
        description="decay rates of three running means: gradients, differences of gradients, squared gradients",
    )
    eps: float = Field(1e-8, gt=0, description="added to the root of the mean of squares")

    def state_memory(self, parameters: "Iterable[torch.Tensor]") -> int:
        return 2 * super().state_memory(parameters)  # three means and the previous gradient
