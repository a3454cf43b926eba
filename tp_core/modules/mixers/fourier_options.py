"""Options of Fourier mixing. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.modules.mixers.attention_options import AttentionMask
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.mixer import MixerConfig


class FourierConfig(MixerConfig):
    """Fourier transforms over positions and hidden units, without weights (FNet; Lee-Thorp et al., 2021)."""

    implementation: ClassVar[str] = "tp_core.modules.mixers.fourier:FourierMixing"

    mask: AttentionMask = Field(
        "fully_visible", description="fully_visible is the only allowed value: every position sees all others"
    )
    padding: bool = Field(
        False, description="transform padding like real positions, as in FNet's published checkpoints"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.mask != "fully_visible":
            yield Problem("mask", f"Fourier mixing shows every position to all others and cannot be {self.mask}")
