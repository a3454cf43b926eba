"""Prediction of the pixels of masked patches."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext
from tp_vision.embeddings.options import grid_of
from tp_vision.targets.masked import MaskedTarget, patch_states, rows_at
from tp_vision.targets.pixels_options import PixelsConfig

#: Added to the variance of a patch's pixels to avoid a division by zero, as in MAE.
_EPS = 1e-6


def patchify(pixels: Tensor, patch: tuple[int, int]) -> Tensor:
    """Pictures (batch, channels, height, width) → (batch, patches, rows × columns × channels of a patch)."""
    batch, channels, height, width = pixels.shape
    rows, columns = height // patch[0], width // patch[1]
    cut = pixels.view(batch, channels, rows, patch[0], columns, patch[1])
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)


def unpatchify(patches: Tensor, grid: tuple[int, int], patch: tuple[int, int]) -> Tensor:
    """Inverse of :func:`patchify`; ``grid`` is the number of rows and columns of patches."""
    cut = patches.view(patches.shape[0], *grid, *patch, -1)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(patches.shape[0], -1, grid[0] * patch[0], grid[1] * patch[1])


class Pixels(MaskedTarget):
    """A linear layer predicts the pixels of a patch; the loss is their mean error, averaged over masked patches."""

    def __init__(self, config: PixelsConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.stream = config, config.stream
        self.patch = grid_of(context).patch_size
        inner = self.patch[0] * self.patch[1] * grid_of(context).channels
        self.output = Linear(context.hidden_size, inner, std=config.init_std)

    def predicted(self, features: Features) -> Tensor:
        """Predicted pixels of all patches, (batch, patches, rows × columns × channels of a patch)."""
        predicted: Tensor = self.output(patch_states(features))
        return predicted

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        positions = self.positions(batch)
        predicted = self.output(rows_at(patch_states(features), positions)).float()
        wanted = rows_at(patchify(self.pixels(batch), self.patch), positions).float()
        if self.config.normalize:
            mean, variance = wanted.mean(dim=-1, keepdim=True), wanted.var(dim=-1, keepdim=True)
            wanted = (wanted - mean) / (variance + _EPS).sqrt()
        error = (predicted - wanted).abs() if self.config.loss == "l1" else (predicted - wanted).square()
        loss = torch.where(positions != IGNORE, error.mean(dim=-1), 0.0).sum()
        return TargetOutput(loss, self.denominator(batch))

    @torch.no_grad()
    def reconstructions(self, features: Features, batch: Batch) -> Tensor:
        """Predicted pictures, (batch, channels, height, width), normalised like ``pixel_values``.

        With ``normalize``, the true mean and standard deviation of each patch are restored.
        """
        pixels, places = self.pixels(batch), features.sequence.published["patches"]
        predicted = self.predicted(features).float()
        if self.config.normalize:
            real = patchify(pixels, self.patch).float()
            predicted = predicted * (real.var(dim=-1, keepdim=True) + _EPS).sqrt() + real.mean(dim=-1, keepdim=True)
        return unpatchify(predicted, (places.shape[0], places.shape[1]), self.patch)
