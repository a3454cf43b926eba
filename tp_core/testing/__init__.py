"""The conformance kit: one line in a test checks that a module meets the contracts of its kind.

::

    from tp_core.testing import check_module

    def test_conformer() -> None:
        check_module("acme.conformer", "encoder", {"num_layers": 2, "num_heads": 2})

Imports are lazy, so that the kit's own config classes stay torch-free.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "check_module": "tp_core.testing.module",
    "random_batch": "tp_core.testing.batches",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tp_core.testing.batches import random_batch as random_batch
    from tp_core.testing.module import check_module as check_module


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tp_core.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
