"""Fixed sine and cosine positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.embeddings.sinusoidal_options import SinusoidalPositionConfig
from tp_core.options.context import BuildContext


class SinusoidalPosition(Embedding):
    """Adds sines and cosines of the position at geometrically decreasing frequencies, for any length."""

    def __init__(self, config: SinusoidalPositionConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        self.size = config.embedding_size or context.embedding_size

    def table(self, positions: Tensor) -> Tensor:
        """Position numbers (batch or 1, length) → vectors (batch or 1, length, size), float32."""
        half = self.size // 2
        last = half if self.config.frequencies == "paper" else max(half - 1, 1)
        steps = torch.arange(half, dtype=torch.float32, device=positions.device)
        frequencies = torch.exp(steps * (-math.log(10000.0) / last))
        angles = (positions + self.config.offset).float().unsqueeze(-1) * frequencies
        both = (angles.sin(), angles.cos())
        if self.config.layout == "halves":
            return torch.cat(both, dim=-1)
        return torch.stack(both, dim=-1).flatten(-2)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None  # the spec's checks reject a position embedding as the first module
        states = sequence.states
        return sequence.with_states(states + self.table(sequence.places()).to(states.dtype))
