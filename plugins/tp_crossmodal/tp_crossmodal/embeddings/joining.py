"""Putting a picture's states behind those of a text."""

from __future__ import annotations

from dataclasses import replace

import torch

from tp_core.errors import TPError
from tp_core.interfaces import Sequence


def picture_behind(text: Sequence, picture: Sequence, text_length: int) -> Sequence:
    """A text and a picture as one sequence, the text first.

    Its positions are the text's, then ``text_length`` and so on, so that a place of the picture has the same position
    beside long and short texts. Its side value ``token_type_ids`` is 0 for the text and 1 for the picture; ``patches``,
    where the picture has them, are places of the whole sequence.

    Args:
        text: states (batch, length, size).
        picture: states (batch, places, size); its positions do not matter.
        text_length: positions that are kept for the text.

    Raises:
        TPError: the text is longer than ``text_length``, or its rows are packed.
    """
    length, places, device = text.states.shape[1], picture.states.shape[1], picture.states.device
    if length > text_length:
        raise TPError(f"texts of {length} tokens are longer than the {text_length} positions that text_length keeps")
    if text.document_ids is not None:
        raise TPError("a row of several packed documents cannot have a picture")
    whole = None
    if text.mask is not None or picture.mask is not None:
        whole = torch.cat([text.real(), picture.real()], dim=1)
    before = text.places()
    after = torch.arange(text_length, text_length + places, device=device).expand(before.shape[0], -1)
    segments = torch.arange(length + places, device=device).unsqueeze(0) >= length
    published = {**text.published, "token_type_ids": segments.long()}
    if "patches" in picture.published:
        published["patches"] = picture.published["patches"] + length
    return replace(
        text,
        states=torch.cat([text.states, picture.states.to(text.states.dtype)], dim=1),
        mask=whole,
        positions=torch.cat([before, after], dim=1),
        published=published,
        padded_behind=False,
    )
