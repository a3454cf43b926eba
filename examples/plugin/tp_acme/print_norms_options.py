"""Options of the hook ``acme.print_norms``. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import HooksConfig


class PrintNormsConfig(HooksConfig):
    """Prints the norm of each component's weights at regular steps."""

    implementation: ClassVar[str] = "tp_acme.print_norms:PrintNorms"
    observes: ClassVar[bool] = True

    every: int = Field(100, gt=0, description="number of steps between two prints")
