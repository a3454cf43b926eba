"""Sinusoids of the distance between two positions (Transformer-XL; Dai et al., 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_audio.positions.options import DistanceConfig
from tp_core.interfaces.layer_parts import Positions, PositionTable, PositionValues, StackPass
from tp_core.modules.embeddings.sinusoidal import SinusoidalPosition
from tp_core.modules.embeddings.sinusoidal_options import SinusoidalPositionConfig
from tp_core.modules.layers.linear import Linear, draw
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts


class Sinusoids(PositionTable):
    """Sinusoids (1, 2 × length - 1, hidden) of the distances query - key, from length - 1 down to 1 - length."""

    def __init__(self, config: DistanceConfig, context: BuildContext) -> None:
        super().__init__()
        self.sinusoids = SinusoidalPosition(
            SinusoidalPositionConfig(), BuildContext(embedding_size=context.hidden_size)
        )

    def forward(self, run: StackPass) -> PositionValues:
        """The sinusoids of a whole sequence.

        Raises:
            NotImplementedError: there is a kv_cache.
        """
        if run.kv_cache is not None:
            raise NotImplementedError("sinusoids of distances need the whole sequence; a kv_cache is not supported")
        states = run.sequence.states
        length = states.shape[1]
        distances = torch.arange(length - 1, -length, -1, device=states.device).unsqueeze(0)
        return PositionValues(self.sinusoids.table(distances).to(states.dtype))


class DistanceScores(Positions):
    """Attention scores: query · key plus query · distance. Each term adds its own bias per head to the query."""

    def __init__(self, config: DistanceConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        facts = context.fact(HeadFacts)
        assert facts is not None
        heads, size = facts.number, facts.size
        self.std, self.shape = config.init_std, (heads, size)
        self.scale = facts.scale or 1 / math.sqrt(size)
        self.distance = Linear(context.hidden_size, heads * size, bias=False, std=config.init_std)
        self.content_bias = nn.Parameter(torch.empty(heads, size))
        self.distance_bias = nn.Parameter(torch.empty(heads, size))

    def reset_parameters(self) -> None:
        draw(self.content_bias, self.std)
        draw(self.distance_bias, self.std)

    def rotate(self, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return queries + self.content_bias.unsqueeze(1), keys

    def bias(self, states: Tensor, queries: Tensor, values: Tensor) -> Tensor:
        distances = self.distance(values).unflatten(-1, self.shape).transpose(1, 2)
        return by_key((queries + self.distance_bias.unsqueeze(1)) @ distances.transpose(-1, -2)) * self.scale


def by_key(scores: Tensor) -> Tensor:
    """Scores by distance, (..., length, 2 × length - 1), longest first → scores by key, (..., length, length)."""
    *lead, length, width = scores.shape
    # Relative shift: after padding and reshaping, each row is shifted by one position against the row before it.
    moved = F.pad(scores, (1, 0)).reshape(*lead, width + 1, length)[..., 1:, :]
    return moved.reshape(*lead, length, width)[..., :length]
