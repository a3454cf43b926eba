"""Options of the hook that draws reconstructions. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig


class ReconstructionsConfig(HooksConfig):
    """Pictures with the masked patches as the target ``pixels`` predicts them, at each evaluation (MAE, SimMIM)."""

    implementation: ClassVar[str] = "tp_vision.hooks.reconstructions:Reconstructions"
    observes: ClassVar[bool] = True

    count: int = Field(8, gt=0, description="number of evaluation pictures to show, spread over the data")
