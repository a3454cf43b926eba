"""Options of the hook that draws reconstructions. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig


class ReconstructionsConfig(HooksConfig):
    """Pictures of what the target ``pixels`` makes of masked patches, at each evaluation (MAE, SimMIM)."""

    implementation: ClassVar[str] = "tp_vision.hooks.reconstructions:Reconstructions"
    observes: ClassVar[bool] = True

    count: int = Field(8, gt=0, description="held-out pictures to show, spread over the data")
