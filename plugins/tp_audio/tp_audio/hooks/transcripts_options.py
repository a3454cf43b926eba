"""Options of the hook that shows transcripts. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig
from tp_core.options.marks import PathStr


class TranscriptsConfig(HooksConfig):
    """Pictures of held-out recordings with their texts and what the model hears, at each evaluation."""

    implementation: ClassVar[str] = "tp_audio.hooks.transcripts:Transcripts"
    observes: ClassVar[bool] = True

    count: int = Field(4, gt=0, le=32, description="held-out recordings to show, spread over the data")
    max_new_tokens: int = Field(128, gt=0, description="longest text that a decoder writes")
    font: PathStr | None = Field(None, description="a font file for scripts that the one found at hand lacks")

    def training_files(self) -> dict[str, str]:
        return {} if self.font is None else {"font": self.font}
