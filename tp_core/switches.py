"""Switches that apply inside a ``with`` block, in this thread only. Torch-free."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar


@contextlib.contextmanager
def switched(switch: ContextVar[bool], on: bool) -> Iterator[None]:
    """Set a switch inside the block."""
    before = switch.set(on)
    try:
        yield
    finally:
        switch.reset(before)
