"""The decoder of masked autoencoders."""

from __future__ import annotations

import torch
from torch import nn

from tp_core.interfaces import Decoder, KVCache, Sequence
from tp_core.modules.layers.linear import Linear, draw
from tp_core.modules.layers.transformer_stack import TransformerStack
from tp_core.options.context import BuildContext
from tp_vision.decoders.masked_options import MaskedDecoderConfig
from tp_vision.embeddings.positions import added, sinusoidal_grid


class MaskedDecoder(TransformerStack, Decoder):
    """States of visible patches → states of all patches; masked patches start from a learned vector."""

    def __init__(self, config: MaskedDecoderConfig, context: BuildContext) -> None:
        super().__init__(config, context, config.hidden_size)
        self.entry = Linear(context.memory_size, config.hidden_size, std=config.init_std)
        self.mask_token = nn.Parameter(torch.empty(config.hidden_size))

    def reset_parameters(self) -> None:
        draw(self.mask_token, self.options.init_std)

    def forward(self, sequence: Sequence | None, memory: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """Memory (batch, before + visible, memory_size) → (batch, before + patches, hidden_size)."""
        if kv_cache is not None:
            raise NotImplementedError("the decoder mae reads whole pictures and cannot use a KV cache")
        ids, places = memory.published["visible_ids"], memory.published["all_patches"]
        states = self.entry(memory.states)
        before = states.shape[1] - ids.shape[1]
        hidden = self.mask_token.to(states.dtype).expand(states.shape[0], places.numel(), -1)
        whole = hidden.scatter(1, ids.unsqueeze(-1).expand(-1, -1, states.shape[-1]), states[:, before:])
        states = torch.cat([states[:, :before], whole], dim=1)
        table = sinusoidal_grid(places.shape[0], places.shape[1], states.shape[-1], states.device)
        return self.run(added(Sequence(states, published={"patches": places}), None, table.to(states.dtype)))
