"""Trained models that are used: what only labels need is not looked at until they are asked for. Torch-free."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from tp_core.switches import switched

_use: ContextVar[bool] = ContextVar("use", default=False)


def in_use() -> bool:
    """True while the spec of a trained model is loaded to use the model."""
    return _use.get()


def using(model: bool = True) -> AbstractContextManager[None]:
    """Load specs inside the block to use their models, or not."""
    return switched(_use, model or in_use())
