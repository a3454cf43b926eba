"""The room that a model has for a prompt and for what is written behind it."""

from __future__ import annotations

from typing import Literal

from tp_core.errors import DataError, TPError
from tp_core.interfaces import PromptRoom, Record
from tp_core.spec.sections.generate import USUAL_LENGTH, GenerateOptions


def prompt_room(options: GenerateOptions, positions: int | None, decoder: bool) -> PromptRoom:
    """The room for the prompts of a model: what its positions leave once the new tokens have theirs.

    Without ``max_new_tokens``, the usual number of new tokens has room, and no more than half of the positions, unless
    ``min_new_tokens`` asks for more.

    Args:
        positions: of the side that is written; None for a model that has no bound.
        decoder: whether the prompt is a source, which an encoder reads.

    Raises:
        TPError: ``max_new_tokens`` or ``min_new_tokens`` leaves no position for a prompt.
    """
    usual: Literal["left", "right"] = "right" if decoder else "left"
    side = options.truncation_side or usual
    if decoder or positions is None:
        return PromptRoom(None, side)
    name, new = "max_new_tokens", options.max_new_tokens
    if new is None:
        name, new = "min_new_tokens", max(options.min_new_tokens, min(USUAL_LENGTH, positions // 2))
    if new >= positions:
        raise TPError(f"{name} is {new}: the model has {positions} positions, which leaves none for a prompt")
    return PromptRoom(positions - new, side)


def text_limit(options: GenerateOptions, length: int, positions: int | None, record: Record) -> int:
    """The most tokens that are written behind a prompt.

    Args:
        length: tokens of the prompt; of an encoder-decoder model, of the decoder's start.
        positions: of the side that is written; None for a model that has no bound.

    Raises:
        DataError: there is no room for one.
    """
    least = max(options.min_new_tokens, options.min_length - length)
    limit = max(USUAL_LENGTH, least) if options.max_new_tokens is None else options.max_new_tokens
    reason = ""
    if options.max_new_tokens is None and options.max_length is not None:
        limit, reason = options.max_length - length, f"max_length is {options.max_length}, and counts them"
    # The last token of a text needs no position: nothing is read after it.
    if positions is not None and positions - length + 1 < limit:
        limit, reason = positions - length + 1, f"the model has {positions} positions"
    if limit < 1:
        raise DataError(f"{length} tokens leave no room to write: {reason}", file=record.file, line=record.line)
    return limit
