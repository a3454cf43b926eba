"""Concatenation of the states of a text and a picture."""

from __future__ import annotations

from dataclasses import replace

import torch

from tp_core.errors import TPError
from tp_core.interfaces import Sequence


def picture_behind(text: Sequence, picture: Sequence, text_length: int) -> Sequence:
    """Join a text and a picture to one sequence, the text first.

    The positions of the text are kept. The positions of the picture start at ``text_length``, so that they do not
    depend on the length of the text. The published ``token_type_ids`` are 0 for the text and 1 for the picture. The
    published ``patches``, if the picture has them, are indices in the whole sequence.

    Args:
        text: states (batch, length, size).
        picture: states (batch, places, size); its positions are ignored.
        text_length: number of positions that are reserved for the text.

    Raises:
        TPError: the text is longer than ``text_length``, or its rows contain several packed documents.
    """
    length, places, device = text.states.shape[1], picture.states.shape[1], picture.states.device
    if length > text_length:
        raise TPError(f"texts of {length} tokens are longer than the {text_length} positions of text_length")
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
        mean_weights=None,
    )
