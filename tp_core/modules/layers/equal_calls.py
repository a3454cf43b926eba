"""A switch for processes that must call every module equally often, whatever their data. Torch-free."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from tp_core.switches import switched

_equal: ContextVar[bool] = ContextVar("equal", default=False)


def equal_calls() -> AbstractContextManager[None]:
    """A context in which no module chooses by its data which others it calls, or how often."""
    return switched(_equal, True)


def needs_equal_calls() -> bool:
    """True within :func:`equal_calls`."""
    return _equal.get()
