"""Patch embedding by a stack of convolutions."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.linear import draw
from tp_core.options.context import BuildContext
from tp_vision.embeddings.convolutional_options import ConvolutionalPatchConfig, halvings


class Convolution(nn.Conv2d):
    """A convolution with He initialisation, which preserves the variance after a ReLU (He et al., 2015)."""

    def reset_parameters(self) -> None:
        draw(self.weight, math.sqrt(2 / (self.in_channels * self.kernel_size[0] * self.kernel_size[1])))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ResidualBlock(nn.Module):
    """``x + conv1(relu(conv3(relu(x))))``, as in VQ-VAE."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.output = Convolution(width, width, 3, padding=1), Convolution(width, width, 1)

    def forward(self, states: Tensor) -> Tensor:
        """(batch, channels, height, width) → the same shape."""
        update: Tensor = self.output(F.relu(self.inner(F.relu(states))))
        return states + update


class ConvolutionalPatch(Embedding):
    """Convolutions of stride 2 until a patch is one position, residual blocks, and a 1 x 1 convolution."""

    def __init__(self, config: ConvolutionalPatchConfig, context: BuildContext) -> None:
        super().__init__()
        steps = halvings(config.grid().patch_size) or 0
        sizes = [config.channels] + [config.width] * steps
        self.halving = nn.ModuleList(Convolution(a, b, 4, stride=2, padding=1) for a, b in pairwise(sizes))
        self.blocks = nn.Sequential(
            Convolution(sizes[-1], config.width, 3, padding=1),
            *(ResidualBlock(config.width) for _ in range(config.blocks)),
        )
        self.output = Convolution(config.width, config.embedding_size or context.embedding_size, 1)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``pixel_values`` (batch, channels, height, width) → states (batch, patches, size)."""
        states = inputs["pixel_values"].to(self.output.weight.dtype)
        for layer in self.halving:
            states = F.relu(layer(states))
        states = self.output(F.relu(self.blocks(states)))
        rows, columns = states.shape[2:]
        places = torch.arange(rows * columns, device=states.device).view(rows, columns)
        return Sequence(states.flatten(2).transpose(1, 2), published={"patches": places})
