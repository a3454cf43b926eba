"""Fourier mixing in place of attention (FNet; Lee-Thorp et al., 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tp_core.interfaces import Sequence
from tp_core.interfaces.kv_cache import CacheEntry
from tp_core.interfaces.layer_parts import Mixer, StackPass
from tp_core.modules.layers.precision import full_precision
from tp_core.modules.mixers.fourier_options import FourierConfig
from tp_core.options.context import BuildContext


def fourier_matrices(sequence: Sequence, padding: bool) -> Tensor | None:
    """Discrete Fourier transforms over the positions of each text, as one matrix for each sample.

    Args:
        padding: whether padding takes part, as any other position.

    Returns:
        (batch, length, 2 × length): cosines, then sines, zero from and to whatever is not of the same text, padding
        included; None when every row is one text, for which there is a faster way.
    """
    real = None if padding else sequence.mask
    ids = sequence.document_ids
    if real is None and ids is None:
        return None
    real = sequence.states.new_ones(sequence.states.shape[:2], dtype=torch.bool) if real is None else real
    same = real.unsqueeze(2) & real.unsqueeze(1)
    if ids is not None:
        same = same & (ids.unsqueeze(2) == ids.unsqueeze(1))
    size = same.sum(dim=2).clamp(min=1).unsqueeze(2)
    place = same.tril(-1).sum(dim=2)
    # Whole turns are taken off as integers: angles stay small, and with them their rounding errors.
    turns = place.unsqueeze(2) * place.unsqueeze(1) % size
    angles = turns * (2 * math.pi / size)
    return torch.cat([angles.cos(), angles.sin()], dim=2) * same.repeat(1, 1, 2)


class FourierMixing(Mixer):
    """The real part of the two-dimensional Fourier transform over positions and hidden units; no weights."""

    drops = False

    def __init__(self, config: FourierConfig, context: BuildContext) -> None:
        super().__init__()
        self.padding = config.padding

    def prepare(self, run: StackPass) -> Tensor | None:
        """The transforms over positions, (batch, length, 2 × length); None where every row is one text.

        Raises:
            ValueError: there is a kv_cache, and every state depends on all positions.
        """
        if run.kv_cache is not None:
            raise ValueError("Fourier mixing cannot read a text piece by piece")
        matrices: Tensor | None = run.once(
            ("fourier", self.padding), lambda: fourier_matrices(run.sequence, self.padding)
        )
        return matrices

    def forward(
        self, states: Tensor, prepared: Tensor | None, carried: Tensor | None = None, kv_cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """States (batch, length, hidden) → the same shape, zeros at padding that takes no part."""
        # Sums over all positions and units, which half precision is too coarse for (and no transform exists in it).
        with full_precision(states):
            exact = states.to(torch.promote_types(states.dtype, torch.float32))
            if prepared is None:
                mixed = torch.fft.fft2(exact).real
            else:
                inner = torch.fft.fft(exact)
                mixed = prepared.to(exact.dtype) @ torch.cat([inner.real, inner.imag], dim=1)
        return mixed.to(states.dtype), None
