"""Prompts of generated texts, cut to the room that there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tp_core.data.padding import joined
from tp_core.errors import DataError
from tp_core.interfaces import PromptRoom, Record, Sample


def prompt(
    record: Record, ids: Sequence[int], room: PromptRoom, head: Sequence[int] = (), tail: Sequence[int] = ()
) -> Sample:
    """``input_ids`` of a prompt; where it was cut, also ``truncated``, how many tokens it lost.

    Args:
        ids: what may be cut.
        head: what stands before it and stays.
        tail: what stands behind it and stays.

    Raises:
        DataError: what stays leaves no room for a token of the prompt.
    """
    kept = ids
    if room.length is not None:
        left = room.length - len(head) - len(tail)
        if left < min(1, len(ids)):
            special = len(head) + len(tail)
            message = (
                f"the prompt has {special + len(ids)} tokens, {special} of which must stay, and room for {room.length}"
            )
            raise DataError(message, file=record.file, line=record.line)
        kept = cut(ids, left, room.side)
    sample: Sample = {"input_ids": joined(head, kept, tail)}
    if len(kept) < len(ids):
        sample["truncated"] = len(ids) - len(kept)
    return sample


def cut(ids: Sequence[int], most: int, side: Literal["left", "right"]) -> Sequence[int]:
    """At most so many of some ids, without those at one side."""
    if len(ids) <= most:
        return ids
    return ids[len(ids) - most :] if side == "left" else ids[:most]
