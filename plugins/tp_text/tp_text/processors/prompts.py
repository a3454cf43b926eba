"""Prompts for generation, cut to the available room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tp_core.data.padding import joined
from tp_core.errors import DataError
from tp_core.interfaces import PromptRoom, Record, Sample


def prompt(
    record: Record, ids: Sequence[int], room: PromptRoom, head: Sequence[int] = (), tail: Sequence[int] = ()
) -> Sample:
    """``input_ids`` of a prompt; if it was cut, also ``truncated``, the number of removed tokens.

    Args:
        ids: tokens that may be cut.
        head: tokens before ``ids``; never cut.
        tail: tokens after ``ids``; never cut.

    Raises:
        DataError: ``head`` and ``tail`` leave no room for a token of ``ids``.
    """
    kept = ids
    if room.length is not None:
        left = room.length - len(head) - len(tail)
        if left < min(1, len(ids)):
            special = len(head) + len(tail)
            message = (
                f"the prompt has {special + len(ids)} tokens, but there is room for {room.length}; {special} of them "
                "cannot be cut"
            )
            raise DataError(message, file=record.file, line=record.line)
        kept = cut(ids, left, room.side)
    sample: Sample = {"input_ids": joined(head, kept, tail)}
    if len(kept) < len(ids):
        sample["truncated"] = len(ids) - len(kept)
    return sample


def cut(ids: Sequence[int], most: int, side: Literal["left", "right"]) -> Sequence[int]:
    """Cut ``ids`` to at most ``most`` by removing ids on ``side``."""
    if len(ids) <= most:
        return ids
    return ids[len(ids) - most :] if side == "left" else ids[:most]
