"""Removal of masked patches."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.options.context import BuildContext
from tp_vision.embeddings.visible_options import VisibleConfig


class Visible(Embedding):
    """Keeps the patches ``visible_ids`` (batch, visible) and the tokens before the patches; removes other patches.

    Publishes ``visible_ids`` and ``all_patches``, (rows, columns): the index of each patch in the sequence before the
    removal. Batches without ``visible_ids``, as at inference, keep all patches.
    """

    def __init__(self, config: VisibleConfig, context: BuildContext) -> None:
        super().__init__()

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        states, places = sequence.states, sequence.published["patches"]
        count = places.numel()
        ids: Tensor | None = inputs.get("visible_ids")
        if ids is None:
            ids = torch.arange(count, device=states.device).expand(states.shape[0], -1)
        before = states.shape[1] - count
        kept = states[:, before:].gather(1, ids.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
        published = {name: value for name, value in sequence.published.items() if name != "patches"}
        published |= {"visible_ids": ids, "all_patches": places}
        return replace(sequence, states=torch.cat([states[:, :before], kept], dim=1), published=published)
