"""Encoder with co-attention of two streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.interfaces import FusionEncoder, Sequence
from tp_core.interfaces.layer_parts import FeedForward, StackPass
from tp_core.modules.build import built
from tp_core.modules.layers.mask import visible_memory
from tp_core.modules.layers.recompute import recomputed
from tp_core.modules.layers.transformer_layer import Residual, TransformerLayer
from tp_core.modules.layers.transformer_options import LayerOptions
from tp_core.modules.mixers.attention import CrossAttention
from tp_core.options.context import BuildContext
from tp_crossmodal.encoders.co_attention_options import CoAttentionConfig


class CrossLayer(nn.Module):
    """Attention to another stream, then feed-forward, each followed by residual addition and norm."""

    def __init__(self, config: CoAttentionConfig, layer: LayerOptions, context: BuildContext) -> None:
        super().__init__()
        self.attention = CrossAttention(config.across(context), context)
        self.attention_residual = Residual(layer, context.hidden_size)
        self.feed_forward: FeedForward = built(layer.feed_forward.config, context)
        self.feed_forward_residual = Residual(layer, context.hidden_size)

    def forward(self, states: Tensor, other: Tensor, mask: Tensor | None) -> Tensor:
        """States (batch, length, size), and the other stream's (batch, other length, other size) → the first shape."""
        states = self.attention_residual.add(states, self.attention(states, (other, mask))[0])
        return self.feed_forward_residual.add(states, self.feed_forward(states))


class CoLayer(nn.Module):
    """One layer: both streams attend to each other in parallel, and then each attends to itself."""

    def __init__(self, config: CoAttentionConfig, context: BuildContext) -> None:
        super().__init__()
        names = list(context.streams)
        self.across, self.within = nn.ModuleList(), nn.ModuleList()
        for name, other in zip(names, reversed(names)):
            size, theirs = context.streams[name].hidden_size, context.streams[other].hidden_size
            own = context._replace(hidden_size=size, memory_size=theirs)
            self.across.append(CrossLayer(config, config.of_stream(name), own))
            self.within.append(TransformerLayer(config.of_stream(name), own))

    def forward(
        self, one: Tensor, other: Tensor, masks: list[Tensor | None], prepared: list[Any]
    ) -> tuple[Tensor, Tensor]:
        """States of the two streams → the same shapes.

        Args:
            masks: for each stream, the states to which the other stream may attend.
            prepared: for each stream, the prepared values of its self-attention.
        """
        one, other = self.across[0](one, other, masks[1]), self.across[1](other, one, masks[0])
        return self.within[0](one, prepared[0])[0], self.within[1](other, prepared[1])[0]


class CoAttention(FusionEncoder):
    """Layers of attention between two streams, each of its own width (ViLBERT; Lu et al., 2019)."""

    def __init__(self, config: CoAttentionConfig, context: BuildContext) -> None:
        super().__init__()
        self.names = tuple(context.streams)
        self.layers = nn.ModuleList(CoLayer(config, context) for _ in range(config.num_layers))

    def forward(self, sequences: dict[str, Sequence]) -> dict[str, Sequence]:
        """Sequences of both streams, states (batch, length, own width) → the same shapes.

        Raises:
            TPError: the batch has only one of the streams.
        """
        absent = [name for name in self.names if name not in sequences]
        if absent:
            raise TPError(f"co_attention reads {' and '.join(self.names)} together; the batch has no '{absent[0]}'")
        pair = [sequences[name] for name in self.names]
        masks = [visible_memory(each) for each in pair]
        first = cast(CoLayer, self.layers[0]).within
        prepared = [cast(TransformerLayer, own).mixer.prepare(StackPass(each)) for own, each in zip(first, pair)]
        one, other = (each.states for each in pair)
        for layer in self.layers:
            if self.checkpoint_activations and self.training:
                one, other = recomputed(self.checkpoint_activations, layer, one, other, masks, prepared)
            else:
                one, other = layer(one, other, masks, prepared)
        return {name: each.with_states(states) for name, each, states in zip(self.names, pair, (one, other))}

    def repeated_layers(self) -> Iterator[nn.Module]:
        yield from self.layers
