"""The mixer ``acme.shift``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tp_acme.shift_options import ShiftConfig
from tp_core import BuildContext, CacheEntry, Mixer, StackPass


class Shift(Mixer):
    """Mixes each channel with the previous position in a learned proportion, then applies a projection."""

    def __init__(self, config: ShiftConfig, context: BuildContext) -> None:
        super().__init__()
        self.std = config.init_std
        self.share = nn.Parameter(torch.empty(context.hidden_size))
        self.output = nn.Linear(context.hidden_size, context.hidden_size)

    def reset_parameters(self) -> None:
        nn.init.constant_(self.share, 0.5)
        nn.init.normal_(self.output.weight, std=self.std)

    def prepare(self, run: StackPass) -> Tensor | None:
        """A mask (batch, length, 1), True if the previous position belongs to the same text; None if all do."""
        sequence, ids = run.sequence, run.sequence.document_ids
        if run.kv_cache is not None or (sequence.mask is None and ids is None):
            return None
        real = sequence.real()
        same = real[:, 1:] & real[:, :-1]
        if ids is not None:
            same = same & (ids[:, 1:] == ids[:, :-1])
        return nn.functional.pad(same, (1, 0)).unsqueeze(-1)

    def forward(
        self, states: Tensor, prepared: Tensor | None, carried: Tensor | None = None, cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, length, hidden) → the same shape."""
        kept = None if cache is None else cache.get()
        first = torch.zeros_like(states[:, :1]) if kept is None else kept[0]
        before = torch.cat([first, states[:, :-1]], dim=1)
        if prepared is not None:
            before = before * prepared
        if cache is not None:
            cache.put(states[:, -1:])
        found: Tensor = self.output(states + self.share * (before - states))
        return found, None
