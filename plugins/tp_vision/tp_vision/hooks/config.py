"""Options of hooks. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.config import HooksConfig


class ReconstructionsConfig(HooksConfig):
    """Pictures of what the target ``pixels`` makes of masked patches, at each evaluation (MAE, SimMIM)."""

    observes: ClassVar[bool] = True

    count: int = Field(8, gt=0, description="held-out pictures to show, spread over the data")

    def build(self) -> object:
        from tp_vision.hooks.reconstructions import Reconstructions

        return Reconstructions(self)
