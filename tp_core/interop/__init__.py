"""Conversion from and to Hugging Face: what converters are made of.

A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_core.interop.activations import activation as activation
    from tp_core.interop.activations import activation_name as activation_name
    from tp_core.interop.keys import Keys as Keys
    from tp_core.interop.parts import MisfitError as MisfitError
    from tp_core.interop.rules import AsRow as AsRow
    from tp_core.interop.rules import Computed as Computed
    from tp_core.interop.rules import Copy as Copy
    from tp_core.interop.rules import Fused as Fused
    from tp_core.interop.rules import Ignored as Ignored
    from tp_core.interop.rules import Part as Part
    from tp_core.interop.rules import Rule as Rule
    from tp_core.interop.rules import Same as Same
    from tp_core.interop.rules import Stacked as Stacked
    from tp_core.interop.rules import Transposed as Transposed
    from tp_core.interop.rules import WithConstant as WithConstant
    from tp_core.interop.rules import below as below
    from tp_core.interop.rules import match as match
    from tp_core.interop.rules import parted as parted

_PUBLIC = {
    "activation": "tp_core.interop.activations",
    "activation_name": "tp_core.interop.activations",
    "Keys": "tp_core.interop.keys",
    "MisfitError": "tp_core.interop.parts",
    "AsRow": "tp_core.interop.rules",
    "Computed": "tp_core.interop.rules",
    "Copy": "tp_core.interop.rules",
    "Fused": "tp_core.interop.rules",
    "Ignored": "tp_core.interop.rules",
    "Part": "tp_core.interop.rules",
    "Rule": "tp_core.interop.rules",
    "Same": "tp_core.interop.rules",
    "Stacked": "tp_core.interop.rules",
    "Transposed": "tp_core.interop.rules",
    "WithConstant": "tp_core.interop.rules",
    "below": "tp_core.interop.rules",
    "match": "tp_core.interop.rules",
    "parted": "tp_core.interop.rules",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
