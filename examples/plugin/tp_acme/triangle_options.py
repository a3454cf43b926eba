"""Options of the schedule ``acme.triangle``. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import ScheduleConfig


class TriangleConfig(ScheduleConfig):
    """Cyclic learning rate: falls to ``low`` times the peak and rises again, ``cycles`` times (Smith, 2017)."""

    implementation: ClassVar[str] = "tp_acme.triangle:Triangle"

    cycles: int = Field(4, gt=0, description="number of cycles")
    low: float = Field(0.1, ge=0, le=1, description="lowest factor")
