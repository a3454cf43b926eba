"""The speech embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_audio.embeddings.speech_options import SpeechConfig
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.linear import draw
from tp_core.options.context import BuildContext


class GatedDownsampling(nn.Conv1d):
    """A strided convolution with a gated linear unit: half of its filters are gates (Dauphin et al., 2017)."""

    def __init__(self, inputs: int, outputs: int, width: int, stride: int, std: float | None) -> None:
        # Both halves get variance 3. The mean of sigmoid(gate)² is about 1/3, so the product has variance 1.
        self.std = std or math.sqrt(3 / (inputs * width))
        super().__init__(inputs, 2 * outputs, width, stride=stride, padding=width // 2)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(batch, inputs, length) → (batch, outputs, ceil(length / stride))."""
        return F.glu(super().forward(states), dim=1)


class Speech(Embedding):
    """Frames of filter banks → states. The strides shorten the sequence."""

    def __init__(self, config: SpeechConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        between = [config.channels // 2] * (len(config.kernel_sizes) - 1)
        widths = [config.num_mel_bins, *between, size]
        self.convolutions = nn.ModuleList(
            GatedDownsampling(inputs, outputs, width, stride, config.init_std)
            for inputs, outputs, width, stride in zip(widths, widths[1:], config.kernel_sizes, config.strides)
        )
        self.strides, self.mask_padding = config.strides, config.mask_padding
        self.whole = math.prod(config.strides) if config.whole_steps else None
        self.scale = math.sqrt(size) if config.scale else None

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``input_features`` (batch, frames, bins) → states (batch, frames / strides, embedding_size).

        ``attention_mask`` (batch, frames) is optional; padding is on the right.
        """
        states, mask = inputs["input_features"].transpose(1, 2), inputs.get("attention_mask")
        lengths = None if mask is None else mask.sum(dim=1)
        for convolution, stride in zip(self.convolutions, self.strides):
            if lengths is None:
                states = convolution(states)
                continue
            if self.mask_padding:
                states = states.masked_fill(~_real(lengths, states.shape[2]).unsqueeze(1), 0)
            states, lengths = convolution(states), (lengths + stride - 1) // stride
        if self.whole is not None:
            rows, frames = inputs["input_features"].shape[:2]
            own = torch.full((rows,), frames, device=states.device) if mask is None else mask.sum(dim=1)
            lengths = (own // self.whole).clamp(min=1)
        states = states.transpose(1, 2)
        if self.scale is not None:
            states = states * self.scale
        if sequence is not None:
            return sequence.with_states(sequence.states + states)
        return Sequence(states, mask=None if lengths is None else _real(lengths, states.shape[1]))


def _real(lengths: Tensor, width: int) -> Tensor:
    """A mask (batch, width): True at the first ``lengths`` positions of each row."""
    return torch.arange(width, device=lengths.device) < lengths.unsqueeze(1)
