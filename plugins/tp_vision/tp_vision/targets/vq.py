"""Vector quantisation: learning discrete codes of pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Batch, Features, TargetOutput
from tp_core.modules.layers.linear import Embedding, Linear, draw
from tp_core.options.context import BuildContext
from tp_vision.embeddings.convolutional import Convolution, ResidualBlock
from tp_vision.embeddings.convolutional_options import halvings
from tp_vision.embeddings.options import grid_of
from tp_vision.targets.masked import MaskedTarget, patch_states
from tp_vision.targets.vq_options import VectorQuantizationConfig


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution that doubles height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def reset_parameters(self) -> None:
        draw(self.weight, math.sqrt(2 / (self.in_channels * 4)))  # each output depends on 2 x 2 positions of the input
        assert self.bias is not None
        nn.init.zeros_(self.bias)


class VectorQuantization(MaskedTarget):
    """States → nearest codes → convolutions → pixels.

    Gradients skip the choice of codes (straight-through estimator). States and codes are normalised to length one, so
    that few codes stay unused (Yu et al., 2022). The loss of a picture is the sum of the mean squared error of its
    pixels, the mean squared distance that moves codes to states, and ``commitment`` times the mean squared distance
    that moves states to codes, minus ``diversity`` times the entropy of the batch's choice of codes. The denominator is
    the number of pictures.
    """

    def __init__(self, config: VectorQuantizationConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.stream = config, config.stream
        steps = halvings(grid_of(context).patch_size) or 0
        self.entry = Linear(context.hidden_size, config.code_size, std=context.hidden_size**-0.5)
        self.codes = Embedding(config.num_tokens, config.code_size, std=1.0)
        self.blocks = nn.Sequential(
            Convolution(config.code_size, config.width, 3, padding=1),
            *(ResidualBlock(config.width) for _ in range(config.blocks)),
        )
        self.doubling = nn.ModuleList(Doubling(config.width, config.width) for _ in range(steps))
        self.output = Convolution(config.width, grid_of(context).channels, 3, padding=1)

    def denominator(self, batch: Batch) -> Tensor:
        return self.pixels(batch).new_full((), batch.size, dtype=torch.float32)

    def encoded(self, features: Features) -> Tensor:
        """States in the space of the codes, normalised to length one, (batch, patches, code_size), float32."""
        return F.normalize(self.entry(patch_states(features)).float(), dim=-1)

    def tokens(self, features: Features) -> Tensor:
        """Index of the nearest code of each patch, (batch, patches)."""
        return (self.encoded(features) @ F.normalize(self.codes.weight.float(), dim=-1).T).argmax(dim=-1)

    def choice_entropy(self, encoded: Tensor) -> Tensor:
        """Entropy in nats of the soft choice of codes, averaged over all patches; a scalar.

        It is largest if all codes are used equally. Without it, many codes are never chosen and never learn.
        """
        scores = encoded.flatten(0, 1) @ F.normalize(self.codes.weight.float(), dim=-1).T
        mean = (scores / self.config.diversity_temperature).softmax(dim=-1).mean(dim=0)
        return -(mean * mean.clamp(min=1e-12).log()).sum()

    def decoded(self, codes: Tensor, grid: tuple[int, int]) -> Tensor:
        """Decode codes (batch, patches, code_size) to pictures (batch, channels, height, width)."""
        states = self.blocks(codes.transpose(1, 2).reshape(codes.shape[0], -1, *grid))
        for layer in self.doubling:
            states = layer(F.relu(states))
        pictures: Tensor = self.output(F.relu(states))
        return pictures

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        places, pixels = features.sequence.published["patches"], self.pixels(batch).float()
        encoded = self.encoded(features)
        codes = F.normalize(self.codes(self.tokens(features)).float(), dim=-1)
        passed = encoded + (codes - encoded).detach()
        error = (self.decoded(passed, (places.shape[0], places.shape[1])).float() - pixels).square().mean(dim=(1, 2, 3))
        distance = (codes - encoded.detach()).square().sum(dim=-1).mean(dim=1)
        committed = (codes.detach() - encoded).square().sum(dim=-1).mean(dim=1)
        count = self.denominator(batch)
        loss = (error + distance + self.config.commitment * committed).sum()
        loss = loss - self.config.diversity * count * self.choice_entropy(encoded)
        return TargetOutput(loss, count, {"squared_error": (error.detach().sum(), count)})
