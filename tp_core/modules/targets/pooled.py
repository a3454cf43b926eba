"""The part that targets of whole samples share: one vector per sample, and an optional dense layer."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, Sequence, Target
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.options.context import BuildContext


class PooledTarget(Target):
    """Base of targets: pooled features → optional dense layer, activation → dropout. Subclasses add the output layer.

    In a model with two streams, a sample is a pair. Its vector is the concatenation of the vectors u, v of the streams
    and their combinations, as set by ``combine`` (Conneau et al., 2017; Reimers & Gurevych, 2019).

    Attributes:
        width: width of the vectors of :meth:`vectors`.
    """

    def __init__(self, config: PooledTargetConfig, context: BuildContext) -> None:
        super().__init__()
        self.combine = config.combined()
        self.pooling = config.pooling or context.pooling
        streams = context.streams if config.stream is None else {}
        self.poolings = {name: config.pooling or facts.pooling for name, facts in streams.items()}
        width = hidden = context.hidden_size
        if self.poolings:
            first, second = (facts.hidden_size for facts in streams.values())
            width = sum(second if part == "v" else first for part in self.combine)
        self.dense = Linear(width, hidden, std=config.init_std) if config.hidden_layer else None
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout)
        self.width = hidden if config.hidden_layer else width

    def pooled(self, features: Features) -> Tensor:
        """The input of the head: one vector per sample, (batch, hidden)."""
        if not self.poolings:
            return features.sequence.pooled(self.pooling)
        u, v = (features.streams[name].pooled(how) for name, how in self.poolings.items())
        made = {"u": lambda: u, "v": lambda: v, "abs_difference": lambda: (u - v).abs(), "product": lambda: u * v}
        return torch.cat([made[part]() for part in self.combine], dim=-1)

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        """The position that is pooled. A subclass with another :meth:`pooled` defines its own."""
        if type(self).pooled is not PooledTarget.pooled:
            return None
        return sequence.pooled_position(self.poolings.get(stream, self.pooling))

    def vectors(self, features: Features) -> Tensor:
        """The input of the output layer, (batch, width)."""
        pooled = self.pooled(features)
        if self.dense is not None:
            pooled = self.activation(self.dense(pooled))
        dropped: Tensor = self.dropout(pooled)
        return dropped
