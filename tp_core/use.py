"""Trained models that are used: what only labels need is not looked at until they are asked for. Torch-free."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tp_core.switches import switched
from tp_core.trust import trusted

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

_use: ContextVar[bool] = ContextVar("use", default=False)


def in_use() -> bool:
    """True while the spec of a trained model is loaded to use the model."""
    return _use.get()


def using(model: bool = True) -> AbstractContextManager[None]:
    """Load specs inside the block to use their models, or not."""
    return switched(_use, model or in_use())


def load_for_use(file: str | os.PathLike[str]) -> Spec:
    """The spec of a trained model that is used: hooks, which only training needs, are left out.

    Raises:
        SpecError: it cannot be loaded, or names code that is not trusted.
    """
    from tp_core.spec.load import load_spec

    with using():
        return load_spec(file, ["train.hooks=null"], trust_code=trusted())
