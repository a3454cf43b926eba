"""Fourier mixing, which replaces attention (FNet; Lee-Thorp et al., 2021)."""

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
    """Discrete Fourier transforms over the positions of each text, as one matrix per sample.

    Args:
        sequence: the sequence, with its mask and its packed documents.
        padding: True if padding is transformed like real positions.

    Returns:
        (batch, length, 2 × length): cosines, then sines. Entries between positions of different texts, or at padding,
        are zero. None if every row is one text, for which the fast transform is used.
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
    # Full turns are removed in integer arithmetic, so that angles and their rounding errors stay small.
    turns = place.unsqueeze(2) * place.unsqueeze(1) % size
    angles = turns * (2 * math.pi / size)
    return torch.cat([angles.cos(), angles.sin()], dim=2) * same.repeat(1, 1, 2)


class FourierMixing(Mixer):
    """The real part of the two-dimensional Fourier transform over positions and hidden units, without weights."""

    drops = False

    def __init__(self, config: FourierConfig, context: BuildContext) -> None:
        super().__init__()
        self.padding = self.reads_padding = config.padding

    def prepare(self, run: StackPass) -> Tensor | None:
        """The matrices of :func:`fourier_matrices`; None if every row is one text.

        Raises:
            ValueError: a kv_cache is given, but every state depends on all positions.
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
        """States (batch, length, hidden) → the same shape, with zeros at padding that is not transformed."""
        # Sums over all positions and units need more than half precision, for which there is no transform either.
        with full_precision(states):
            exact = states.to(torch.promote_types(states.dtype, torch.float32))
            if prepared is None:
                mixed = torch.fft.fft2(exact).real
            else:
                inner = torch.fft.fft(exact)
                mixed = prepared.to(exact.dtype) @ torch.cat([inner.real, inner.imag], dim=1)
        return mixed.to(states.dtype), None
