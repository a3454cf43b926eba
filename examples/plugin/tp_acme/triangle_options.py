"""Options of the triangle. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import ScheduleConfig


class TriangleConfig(ScheduleConfig):
    """Down to ``low`` times the peak and up again, ``cycles`` times (Smith, 2017)."""

    implementation: ClassVar[str] = "tp_acme.triangle:Triangle"

    cycles: int = Field(4, gt=0, description="number of ways down and up")
    low: float = Field(0.1, ge=0, le=1, description="least factor")
