"""Options of rotary positions. Torch-free."""

import math
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_core.options.positions import PositionsConfig


class RotaryConfig(PositionsConfig):
    """Rotation of queries and keys by their positions (Su et al., 2021; LLaMA, GPT-J, ModernBERT)."""

    implementation: ClassVar[str] = "tp_core.modules.positions.rotary:Rotary"
    table: ClassVar[str] = "tp_core.modules.positions.rotary:RotaryAngles"

    theta: float = Field(10000.0, gt=0, description="base of the frequencies")
    fraction: float = Field(1.0, gt=0, le=1, description="share of each head's channels that is rotated")
    interleaved: bool = Field(
        False, description="pair neighbouring channels (GPT-J) instead of channels of the two halves"
    )
    factor: float = Field(1.0, gt=0, description="divisor of the positions, for longer texts (Gemma 3)")

    def rotated(self, head_size: int) -> int:
        """Number of channels of a head that are rotated."""
        return int(head_size * self.fraction)

    def frequencies(self, head_size: int) -> list[float]:
        """The angle between adjacent positions for each pair of channels, in decreasing order."""
        size = self.rotated(head_size)
        return [self.theta ** (-step / size) / self.factor for step in range(0, size, 2)]

    def check(self, context: BuildContext) -> Iterator[Problem]:
        heads = context.fact(HeadFacts)
        if heads is not None and self.rotated(heads.size) % 2:
            message = f"rotary positions need an even head width, got {self.rotated(heads.size)}"
            yield Problem("", message)
        elif heads is not None and not self.rotated(heads.size):
            yield Problem("fraction", f"rotates none of the {heads.size} channels of a head")


class Llama3RotaryConfig(RotaryConfig):
    """Rotary positions with low frequencies scaled for longer texts (Llama 3.1; Dubey et al., 2024)."""

    factor: float = Field(8.0, gt=0, description="divisor of the lowest frequencies")
    low_frequency_factor: float = Field(
        1.0, gt=0, description="wavelengths above original_length / low_frequency_factor are scaled by the whole factor"
    )
    high_frequency_factor: float = Field(
        4.0, gt=0, description="wavelengths below original_length / high_frequency_factor are not scaled"
    )
    original_length: int = Field(8192, gt=0, description="maximum length of the texts in training without scaling")

    def frequencies(self, head_size: int) -> list[float]:
        size = self.rotated(head_size)
        return [self._scaled(self.theta ** (-step / size)) for step in range(0, size, 2)]

    def _scaled(self, frequency: float) -> float:
        """The scaled frequency: unchanged, divided by the factor, or between the two for medium wavelengths."""
        low, high = self.low_frequency_factor, self.high_frequency_factor
        turns = self.original_length * frequency / (2 * math.pi)
        kept = min(max((turns - low) / (high - low), 0.0), 1.0)
        return frequency * (kept + (1 - kept) / self.factor)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.high_frequency_factor <= self.low_frequency_factor:
            message = f"must be greater than low_frequency_factor, {self.low_frequency_factor:g}"
            yield Problem("high_frequency_factor", f"{message}; got {self.high_frequency_factor:g}")
