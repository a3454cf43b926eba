"""Options of the mixer ``acme.shift``. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import MixerConfig
from tp_core.options.marks import TrainingOnly


class ShiftConfig(MixerConfig):
    """Token shift: mixes each channel with the same channel of the position before (RWKV; Peng et al., 2023)."""

    implementation: ClassVar[str] = "tp_acme.shift:Shift"

    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def causal(self) -> bool:
        return True
