"""A visual tokenizer that needs no training."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.options.context import BuildContext
from tp_vision.embeddings.options import grid_of
from tp_vision.targets.pixels import patchify
from tp_vision.visual_tokenizers.base import VisualTokenizer
from tp_vision.visual_tokenizers.random_projection_options import RandomProjectionConfig


class RandomProjection(VisualTokenizer):
    """The token of a patch is the code nearest to its projection, both of length one (BEST-RQ; Chiu et al., 2022).

    Projection and codes are drawn on the CPU by a separate generator, so that they are the same on every machine.
    """

    projection: Tensor
    codes: Tensor

    def __init__(self, config: RandomProjectionConfig, context: BuildContext) -> None:
        super().__init__()
        grid = grid_of(context)
        self.patch, self.normalize = grid.patch_size, config.normalize
        inner = self.patch[0] * self.patch[1] * grid.channels
        generator = torch.Generator().manual_seed(config.seed)
        limit = math.sqrt(6 / (inner + config.code_size))  # Xavier initialisation, as in the paper
        projection = torch.rand(inner, config.code_size, generator=generator) * 2 * limit - limit
        codes = torch.randn(config.num_tokens, config.code_size, generator=generator)
        self.register_buffer("projection", projection)
        self.register_buffer("codes", F.normalize(codes, dim=-1))

    def forward(self, pixels: Tensor) -> Tensor:
        patches = patchify(pixels, self.patch).float()
        if self.normalize:
            patches = patches - patches.mean(dim=-1, keepdim=True)
            patches = patches / (patches.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
        with torch.autocast(pixels.device.type, enabled=False):
            # The nearest of codes of length one has the largest dot product, for any length of the projection.
            return (patches @ self.projection @ self.codes.T).argmax(dim=-1)
