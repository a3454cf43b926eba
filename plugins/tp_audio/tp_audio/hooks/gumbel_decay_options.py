"""Options of the decay of the Gumbel temperature. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig


class GumbelDecayConfig(HooksConfig):
    """Lowers the Gumbel temperature of the target wav2vec2: max(end, start · decay^step)."""

    implementation: ClassVar[str] = "tp_audio.gumbel_decay:GumbelDecay"

    decay: float = Field(0.999995, gt=0, le=1, description="factor per step")
    end: float = Field(0.5, gt=0, description="lowest temperature")
