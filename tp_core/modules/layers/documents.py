"""Unpacking of documents into separate rows, for encoders that read a row as one text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from tp_core.interfaces import Sequence


def by_document(run: Callable[[Sequence], Sequence], sequence: Sequence) -> Sequence:
    """Apply ``run`` to each packed document of a sequence separately.

    Shapes depend on the number of documents, so the host waits for the device.

    Args:
        run: a function that maps a sequence without documents to one of the same length.
        sequence: a sequence with ``document_ids``.

    Returns:
        The sequence with the results at the positions of the documents, and zeros at padding.
    """
    ids = sequence.document_ids
    assert ids is not None
    batch, length, _ = sequence.states.shape
    device = sequence.states.device
    real = sequence.real().flatten().nonzero().squeeze(1)
    row = torch.arange(batch, device=device).repeat_interleave(length)
    pairs = torch.stack([row, ids.expand(batch, length).flatten()], dim=1)[real]
    _, owner, counts = torch.unique(pairs, dim=0, return_inverse=True, return_counts=True)
    order = owner.argsort(stable=True)
    real, owner = real[order], owner[order]
    place = torch.arange(len(real), device=device) - (counts.cumsum(0) - counts)[owner]

    states = sequence.states.flatten(0, 1)
    width = int(counts.max())
    rows = states.new_zeros(len(counts), width, states.shape[-1])
    rows[owner, place] = states[real]
    found = run(Sequence(rows, torch.arange(width, device=device) < counts.unsqueeze(1))).states
    result = found.new_zeros(batch * length, found.shape[-1])
    result[real] = found[owner, place]
    return replace(sequence, states=result.view(batch, length, -1))
