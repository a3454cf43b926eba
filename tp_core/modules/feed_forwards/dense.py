"""Feed-forward layers that consist of dense layers."""

from __future__ import annotations

from torch import Tensor

from tp_core.interfaces.layer_parts import FeedForward
from tp_core.interfaces.share import Share, own_random_numbers
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext


class DenseFeedForward(FeedForward):
    """``W2 f(W1 x)``."""

    share: Share | None = None

    def __init__(self, config: DenseConfig, context: BuildContext) -> None:
        super().__init__()
        hidden, inner = context.hidden_size, config.inner_size(context.hidden_size)
        self.input = Linear(hidden, inner, bias=config.bias, std=config.init_std)
        self.output = Linear(inner, hidden, bias=config.bias, std=config.init_std)
        self.activation, self.dropout = ACTIVATIONS[config.activation], config.activation_dropout

    def divide(self, share: Share) -> dict[str, str]:
        share.of(self.input.out_features, "inner values of a feed-forward layer")
        self.share = share
        return {"input": "columns", "output": "rows"}

    def inner(self, states: Tensor) -> Tensor:
        """States (..., hidden) → inner values (..., inner)."""
        return self.activation(self.input(states))

    def forward(self, states: Tensor) -> Tensor:
        inner = self.inner(states)
        if self.dropout and self.training:
            with own_random_numbers(self.share, inner.device):
                inner = dropout(inner, self.dropout)
        output: Tensor = self.output(inner)
        return output


class GatedFeedForward(DenseFeedForward):
    """``W2 (f(Wg x) · W1 x)`` (Shazeer, 2020)."""

    def __init__(self, config: DenseConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        hidden, inner = context.hidden_size, config.inner_size(context.hidden_size)
        self.gate = Linear(hidden, inner, bias=config.bias, std=config.init_std)

    def divide(self, share: Share) -> dict[str, str]:
        return {**super().divide(share), "gate": "columns"}

    def inner(self, states: Tensor) -> Tensor:
        inner: Tensor = self.activation(self.gate(states)) * self.input(states)
        return inner
