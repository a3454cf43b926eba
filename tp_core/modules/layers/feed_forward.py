"""The position-wise feed-forward layer, dense or gated."""

from __future__ import annotations

from torch import Tensor, nn

from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.transformer_options import TransformerOptions


class FeedForward(nn.Module):
    """``W2 f(W1 x)``, or gated ``W2 (f(Wg x) · W1 x)`` (Shazeer, 2020)."""

    def __init__(self, options: TransformerOptions, hidden_size: int) -> None:
        super().__init__()
        inner = options.feed_forward_size or 4 * hidden_size
        bias, std = options.feed_forward_bias, options.init_std
        self.gate = Linear(hidden_size, inner, bias=bias, std=std) if options.feed_forward == "gated" else None
        self.input = Linear(hidden_size, inner, bias=bias, std=std)
        self.output = Linear(inner, hidden_size, bias=bias, std=std)
        self.activation = ACTIVATIONS[options.activation]
        self.dropout = options.activation_dropout

    def forward(self, states: Tensor) -> Tensor:
        """(..., hidden) → (..., hidden)."""
        if self.gate is None:
            inner = self.activation(self.input(states))
        else:
            inner = self.activation(self.gate(states)) * self.input(states)
        if self.dropout:
            inner = dropout(inner, self.dropout, self.training)
        output: Tensor = self.output(inner)
        return output
