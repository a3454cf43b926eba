"""Putting a picture's states behind those of a text."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces import Sequence
from tp_core.modules.layers.mask import positions_of


def picture_behind(text: Sequence, picture: Tensor, mask: Tensor | None, text_length: int) -> Sequence:
    """A text and a picture as one sequence, the text first.

    Its positions are the text's, then ``text_length`` and so on, so that a place of the picture has the same position
    beside long and short texts. Its side value ``token_type_ids`` is 0 for the text and 1 for the picture.

    Args:
        text: states (batch, length, size).
        picture: (batch, places, size).
        mask: (batch, places), True where real; None if all are.
        text_length: positions that are kept for the text.

    Raises:
        TPError: the text is longer than ``text_length``, or its rows are packed.
    """
    batch, length, _ = text.states.shape
    places, device = picture.shape[1], picture.device
    if length > text_length:
        raise TPError(f"texts of {length} tokens are longer than the {text_length} positions that text_length keeps")
    if text.document_ids is not None:
        raise TPError("a row of several packed documents cannot have a picture")
    whole = None
    if text.mask is not None or mask is not None:
        own = mask if mask is not None else torch.ones((batch, places), dtype=torch.bool, device=device)
        whole = torch.cat([text.real(), own.bool()], dim=1)
    before = positions_of(text)
    after = torch.arange(text_length, text_length + places, device=device).expand(before.shape[0], -1)
    segments = torch.arange(length + places, device=device).unsqueeze(0) >= length
    return replace(
        text,
        states=torch.cat([text.states, picture.to(text.states.dtype)], dim=1),
        mask=whole,
        positions=torch.cat([before, after], dim=1),
        side={**text.side, "token_type_ids": segments.long()},
    )
