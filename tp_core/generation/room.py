"""Room for a prompt and for the text generated after it."""

from __future__ import annotations

from typing import Literal

from tp_core.errors import DataError, TPError
from tp_core.interfaces import PromptRoom, Record
from tp_core.spec.sections.generate import USUAL_LENGTH, GenerateOptions


def prompt_room(options: GenerateOptions, positions: int | None, decoder: bool) -> PromptRoom:
    """The room for prompts: the positions of the model minus those of the new tokens.

    Without ``max_new_tokens``, the default number of new tokens is reserved, but at most half of the positions, unless
    ``min_new_tokens`` is larger.

    Args:
        positions: maximum number of positions of the generated side; None if the model has no limit.
        decoder: True if an encoder reads the prompt and a decoder writes the text.

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
    """Maximum number of tokens to generate after a prompt.

    Args:
        length: number of tokens of the prompt; for an encoder-decoder model, of the decoder's start.
        positions: maximum number of positions of the generated side; None if the model has no limit.

    Raises:
        DataError: there is no room for a token.
    """
    least = max(options.min_new_tokens, options.min_length - length)
    limit = max(USUAL_LENGTH, least) if options.max_new_tokens is None else options.max_new_tokens
    reason = ""
    if options.max_new_tokens is None and options.max_length is not None:
        limit, reason = options.max_length - length, f"max_length is {options.max_length}, and counts them"
    # The last token needs no position: the model never reads it.
    if positions is not None and positions - length + 1 < limit:
        limit, reason = positions - length + 1, f"the model has {positions} positions"
    if limit < 1:
        raise DataError(f"{length} tokens leave no room to write: {reason}", file=record.file, line=record.line)
    return limit
