"""wav2vec 2.0's relative positions: a wide grouped convolution over the states."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_audio.embeddings.conv_pos_options import ConvolutionalPositionConfig
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.options.context import BuildContext


class ConvolutionalPosition(Embedding):
    """Adds ``activation(conv(states))`` to the states. The convolution sees zeros in place of padding.

    Weight norm (Salimans & Kingma, 2016) applies to each kernel position: ``magnitude · direction / |direction|``.
    """

    def __init__(self, config: ConvolutionalPositionConfig, context: BuildContext) -> None:
        super().__init__()
        width, self.groups, self.size = context.embedding_size, config.groups, config.kernel_size
        self.direction = nn.Parameter(torch.empty(width, width // self.groups, self.size))
        self.magnitude = nn.Parameter(torch.empty(1, 1, self.size))
        self.bias = nn.Parameter(torch.empty(width))
        self.activation = ACTIVATIONS[config.activation]

    def reset_parameters(self) -> None:
        if self.direction.is_meta:
            return
        nn.init.normal_(self.direction, std=2 / math.sqrt(self.size * self.direction.shape[0]))
        self.magnitude.copy_(self._norm())
        nn.init.zeros_(self.bias)

    def _norm(self) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(self.direction, dim=(0, 1), keepdim=True)
        return norm

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        states = sequence.states
        real = states if sequence.mask is None else states.masked_fill(~sequence.mask.unsqueeze(-1), 0)
        kernel = self.direction * (self.magnitude / self._norm())
        found = F.conv1d(real.transpose(1, 2), kernel, self.bias, padding=self.size // 2, groups=self.groups)
        # A kernel of even size produces one frame too many.
        positions = self.activation(found[..., : states.shape[1]]).transpose(1, 2)
        return sequence.with_states(states + positions)
