"""Options of the hook ``transcripts``. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig
from tp_core.options.marks import PathStr


class TranscriptsConfig(HooksConfig):
    """Pictures of held-out recordings with their texts and the recognised texts, at each evaluation."""

    implementation: ClassVar[str] = "tp_audio.hooks.transcripts:Transcripts"
    observes: ClassVar[bool] = True

    count: int = Field(4, gt=0, le=32, description="number of held-out recordings to show, spread evenly over the data")
    max_new_tokens: int = Field(128, gt=0, description="maximum number of tokens that a decoder generates")
    font: PathStr | None = Field(None, description="font file; needed for scripts that the system font lacks")

    def training_files(self) -> dict[str, str]:
        return {} if self.font is None else {"font": self.font}
