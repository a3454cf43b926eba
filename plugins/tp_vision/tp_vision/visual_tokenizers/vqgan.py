"""The codes of a published VQGAN."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.options.context import BuildContext
from tp_vision.facts import GridFacts
from tp_vision.visual_tokenizers.architecture import read_architecture
from tp_vision.visual_tokenizers.base import VisualTokenizer
from tp_vision.visual_tokenizers.convolutions import Network
from tp_vision.visual_tokenizers.lightning import read_tensors
from tp_vision.visual_tokenizers.vqgan_options import VQGANConfig

#: Prefix of the VQGAN's weights in checkpoints of models that contain a VQGAN.
_PART = "first_stage_model."


class VQGAN(VisualTokenizer):
    """Tokens of a VQGAN with weights from a local file (Esser et al., 2021).

    Raises:
        TPError: a file is missing or damaged, the weights do not match ``config``, or they do not fit the options or
            the model.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, config: VQGANConfig, context: BuildContext) -> None:
        super().__init__()
        try:
            sizes = read_architecture(config.config)
            found = [problem.message for problem in config.misfits(sizes, context)]
            if found:
                raise TPError(f"{config.config} {found[0]}")
            with torch.device("meta"):
                self.network = Network(sizes)
            self.network.load_state_dict(self._weights(Path(config.weights)), assign=True)
        except TPError as error:
            raise TPError(f"the visual tokenizer cannot be loaded: {error}") from error
        self.requires_grad_(False).eval()
        self.grid, self.patch = context.fact(GridFacts), sizes.patch_size
        # (pixel * std + mean) is in [0, 1], and the network expects pixels in [-1, 1].
        mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (config.mean, config.std))
        self.register_buffer("scale", (2 * std).float(), persistent=False)
        self.register_buffer("shift", (2 * mean - 1).float(), persistent=False)

    def _weights(self, file: Path) -> dict[str, Tensor]:
        """Read the network's weights from a file, float32.

        Raises:
            TPError: weights are missing, unknown or of another shape.
        """
        found, expected = read_tensors(file), self.network.state_dict()
        if any(name.startswith(_PART) for name in found):
            found = {name.removeprefix(_PART): value for name, value in found.items() if name.startswith(_PART)}
        parts = {name.partition(".")[0] for name in expected}  # ignores weights of losses and of an optimizer
        found = {name: value for name, value in found.items() if name.partition(".")[0] in parts}
        other = f"{file} does not hold the weights that the config describes"
        for message, names in (
            ("it lacks", [name for name in expected if name not in found]),
            ("it also has", [name for name in found if name not in expected]),
        ):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                raise TPError(f"{other}: {message} {', '.join(names[:3])}{more}")
        for name, value in found.items():
            if value.shape != expected[name].shape:
                shapes = f"{tuple(value.shape)}, expected {tuple(expected[name].shape)}"
                raise TPError(f"{other}: {name} has the shape {shapes}")
        return {name: value.to(torch.float32, copy=True) for name, value in found.items()}

    def forward(self, pixels: Tensor) -> Tensor:
        # Half precision could change tokens.
        with torch.autocast(pixels.device.type, enabled=False):
            return self.network.tokens(pixels.float() * self.scale + self.shift).flatten(1)

    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, patches) → pictures (batch, channels, height, width), normalised as for the model.

        Raises:
            TPError: the number of tokens does not fit the model's grid, or is not a square number if it has no grid.
        """
        count = tokens.shape[1]
        side = math.isqrt(count)
        rows, columns = (side, side) if self.grid is None else (self.grid.height, self.grid.width)
        if rows * columns != count:
            raise TPError(f"{count} tokens do not make a picture of {rows} x {columns} patches")
        with torch.autocast(tokens.device.type, enabled=False):
            return (self.network.pictures(tokens.view(-1, rows, columns)) - self.shift) / self.scale
