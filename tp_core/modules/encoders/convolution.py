"""Convolutional encoders."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Encoder, KVCache, Sequence
from tp_core.modules.encoders.convolution_options import CNNConfig, GatedCNNConfig
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.compaction import Compaction
from tp_core.modules.layers.convolution import Conv1d, GatedConvolution
from tp_core.modules.layers.documents import by_document
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.recompute import recomputed
from tp_core.options.context import BuildContext


class CNNEncoder(Encoder):
    """Filters of several widths over the embeddings (Kim, 2014), each centred on its position.

    A filter of even width sees one more position after its own than before it.
    """

    def __init__(self, config: CNNConfig, context: BuildContext) -> None:
        super().__init__()
        self.kernel_sizes = config.kernel_sizes
        filters = config.hidden_size // len(config.kernel_sizes)
        self.convolutions = nn.ModuleList(
            Conv1d(context.embedding_size, filters, width, config.init_std, gain=2) for width in config.kernel_sizes
        )
        self.activation, self.dropout = ACTIVATIONS[config.activation], config.dropout

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size), zeros at padding.

        Raises:
            ValueError: a kv_cache is given, but states depend on later positions.
        """
        if kv_cache is not None:
            raise ValueError("filters that see later positions cannot read a text piece by piece")
        if sequence.document_ids is not None:
            return by_document(self.forward, sequence)
        states, compaction = sequence.states, None
        if sequence.mask is not None:
            compaction = Compaction(sequence.mask)
            # Zeros on the right make the result equal to that of an unpadded text.
            states = compaction.front(states.masked_fill(~sequence.mask.unsqueeze(-1), 0))
        states = states.transpose(1, 2)
        each = [
            convolution(F.pad(states, ((width - 1) // 2, width // 2)))
            for convolution, width in zip(self.convolutions, self.kernel_sizes)
        ]
        found = torch.cat(each, dim=1).transpose(1, 2)
        found = dropout(self.activation(found), self.dropout, self.training)
        return sequence.with_states(found if compaction is None else compaction.back(found))


class GatedCNNEncoder(Encoder):
    """Layers of gated convolutions, in which a position sees the ``kernel_size - 1`` positions before it."""

    def __init__(self, config: GatedCNNConfig, context: BuildContext) -> None:
        super().__init__()
        self.before, self.block_size, self.dropout = config.kernel_size - 1, config.block_size, config.dropout
        hidden = config.hidden_size
        self.layers = nn.ModuleList(
            GatedConvolution(
                context.embedding_size if number == 0 else hidden, hidden, config.kernel_size, config.init_std
            )
            for number in range(config.num_layers)
        )

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size), zeros at padding."""
        if sequence.document_ids is not None and kv_cache is None:
            return by_document(self.forward, sequence)
        states, compaction = sequence.states, None
        if sequence.mask is not None:
            # No filter of a real position sees padding on the right.
            compaction = Compaction(sequence.mask)
            states = compaction.front(states)
        states = self._layers(states.transpose(1, 2), compaction, kv_cache).transpose(1, 2)
        return sequence.with_states(states if compaction is None else compaction.back(states))

    def repeated_layers(self) -> Iterator[nn.Module]:
        yield from self.layers

    def _layers(self, states: Tensor, compaction: Compaction | None, kv_cache: KVCache | None) -> Tensor:
        block = states  # the input of the current block
        for number, layer in enumerate(self.layers):
            seen = self._with_earlier(states, f"layer{number}", compaction, kv_cache)
            if self.checkpoint_activations and self.training:
                states = recomputed(self.checkpoint_activations, layer, seen)
            else:
                states = layer(seen)
            states = dropout(states, self.dropout, self.training)
            if number == 0:
                block = states
            elif number % self.block_size == 0:
                states = block = states + block
        return states

    def _with_earlier(
        self, states: Tensor, name: str, compaction: Compaction | None, kv_cache: KVCache | None
    ) -> Tensor:
        """The states (batch, size, length) with earlier states prepended: those in the cache, or zeros at the start."""
        earlier = None if kv_cache is None else kv_cache.get(name)
        seen = F.pad(states, (self.before, 0)) if earlier is None else torch.cat([earlier[0], states], dim=2)
        if kv_cache is not None:
            index = torch.arange(self.before, device=states.device)
            if compaction is None:
                last = (index + states.shape[2]).expand(len(states), -1)
            else:
                last = index + compaction.lengths.unsqueeze(1)
            kv_cache.put(name, seen.gather(2, last.unsqueeze(1).expand(-1, states.shape[1], -1)))
        return seen
