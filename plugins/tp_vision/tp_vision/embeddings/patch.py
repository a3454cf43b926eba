"""The patch embedding."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.linear import draw
from tp_core.options.context import BuildContext
from tp_vision.embeddings.patch_options import PatchConfig
from tp_vision.facts import GridFacts


class Projection(nn.Conv2d):
    """A linear map of each patch: a convolution whose stride is its kernel size, initialised from N(0, std²).

    Args:
        std: standard deviation of the initial weights; None: 1 / sqrt(channels × height × width of a patch).
    """

    def __init__(self, channels: int, size: int, patch: tuple[int, int], bias: bool, std: float | None) -> None:
        self.std = std or 1 / math.sqrt(channels * patch[0] * patch[1])
        super().__init__(channels, size, kernel_size=patch, stride=patch, bias=bias)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def tokens(count: int, size: int) -> nn.Parameter | None:
    """Uninitialised parameter for learned tokens, (count, size); None if ``count`` is 0."""
    return nn.Parameter(torch.empty(count, size)) if count else None


def check_pictures(pixels: Tensor, grid: GridFacts) -> None:
    """Check pictures, (batch, channels, height, width), against the model's patches.

    Raises:
        TPError: the number of channels is not the model's, or patches do not fill the pictures.
    """
    _, channels, height, width = pixels.shape
    rows, columns = grid.patch_size
    if channels != grid.channels:
        raise TPError(f"pixel_values have {channels} channels; the model's patches have {grid.channels}")
    if height % rows or width % columns:
        raise TPError(f"patches of {rows} x {columns} pixels do not fill pictures of {height} x {width}")


class Patch(Embedding):
    """Pictures as sequences: class token, distillation token, registers, then the patches row by row.

    Publishes ``patches``, (rows, columns) int64: the index of each patch in the sequence. Later modules take the size
    of the grid from its shape.
    """

    def __init__(self, config: PatchConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.config, self.grid = config, config.grid()
        self.projection = Projection(config.channels, size, self.grid.patch_size, config.bias, config.projection_std)
        self.class_token = tokens(int(config.class_token), size)
        self.distillation_token = tokens(int(config.distillation_token), size)
        self.registers = tokens(config.registers, size)

    def weights_for(self, other: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of patches with a bias."""
        return {**weights, "projection.bias": weights["projection.weight"].new_zeros(len(weights["projection.weight"]))}

    def reset_parameters(self) -> None:
        for each in self.before():
            draw(each, self.config.init_std)

    def before(self) -> list[Tensor]:
        """Tokens before the patches: one tensor (tokens, size) per kind of token."""
        return [each for each in (self.class_token, self.distillation_token, self.registers) if each is not None]

    def content(self, pixels: Tensor) -> Tensor:
        """``pixel_values`` (batch, channels, height, width) → (batch, size, rows, columns)."""
        check_pictures(pixels, self.grid)
        found: Tensor = self.projection(pixels.to(self.projection.weight.dtype))
        return found

    def arranged(self, content: Tensor) -> Sequence:
        """(batch, size, rows, columns) → the sequence, with the tokens before the patches."""
        batch, _, rows, columns = content.shape
        states = content.flatten(2).transpose(1, 2)
        first = [each.to(states.dtype).expand(batch, -1, -1) for each in self.before()]
        if first:
            states = torch.cat([*first, states], dim=1)
        before = self.grid.before
        places = torch.arange(before, before + rows * columns, device=states.device).view(rows, columns)
        return Sequence(states, published={"patches": places})

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``pixel_values`` → states (batch, tokens before + rows × columns, size)."""
        return self.arranged(self.content(inputs["pixel_values"]))
