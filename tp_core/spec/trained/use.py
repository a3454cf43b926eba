"""Mode for loading specs for inference, in which modules that only make labels are not checked. Torch-free."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from tp_core.switches import switched

_use: ContextVar[bool] = ContextVar("use", default=False)


def in_use() -> bool:
    """True while the spec of a trained model is loaded for inference."""
    return _use.get()


def using(model: bool = True) -> AbstractContextManager[None]:
    """A context in which specs are loaded for inference, if ``model`` is True or an outer context says so."""
    return switched(_use, model or in_use())
