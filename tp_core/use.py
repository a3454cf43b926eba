"""Trained models that are used: what only labels need is not looked at until they are asked for. Torch-free."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_use: ContextVar[bool] = ContextVar("use", default=False)


def in_use() -> bool:
    """True while the spec of a trained model is loaded to use the model."""
    return _use.get()


@contextlib.contextmanager
def using(model: bool = True) -> Iterator[None]:
    """Load specs inside the block to use their models, or not."""
    before = _use.set(model or in_use())
    try:
        yield
    finally:
        _use.reset(before)
