"""Options of the hook that draws similarities. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig
from tp_core.options.marks import PathStr


class SimilaritiesConfig(HooksConfig):
    """Heat maps of the similarities of evaluation pairs for the target ``clr``, at each evaluation (CLIP)."""

    implementation: ClassVar[str] = "tp_crossmodal.hooks.similarities:Similarities"
    observes: ClassVar[bool] = True

    count: int = Field(16, gt=1, le=64, description="number of evaluation pairs to show, spread over the data")
    font: PathStr | None = Field(None, description="a font file, for scripts that the default font lacks")

    def training_files(self) -> dict[str, str]:
        return {} if self.font is None else {"font": self.font}
