"""Predictions with tokens instead of ids."""

from __future__ import annotations

from typing import Any

from tp_core.interfaces import Tokenizer


def spelled(value: Any, tokenizer: Tokenizer) -> Any:
    """A prediction with texts and tokens instead of ids.

    ``{"token_ids": ids}`` becomes ``{"text": ...}``, and ``{"id": ..., "probability": ...}`` gets the id's token. Ids
    that exceed the tokenizer's vocabulary have no token.
    """
    if isinstance(value, list):
        return [spelled(inner, tokenizer) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"token_ids"}:
        return {"text": tokenizer.decode([i for i in value["token_ids"] if i < tokenizer.vocab_size])}
    if set(value) == {"id", "probability"}:
        token = tokenizer.token(value["id"]) if value["id"] < tokenizer.vocab_size else None
        return {"token": token, "probability": value["probability"]}
    return {key: spelled(inner, tokenizer) for key, inner in value.items()}
