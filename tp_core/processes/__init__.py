"""Processes that train or use a model together.

A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_core.processes.devices import pick_device as pick_device
    from tp_core.processes.group import ProcessGroup as ProcessGroup
    from tp_core.processes.torch_group import TorchGroup as TorchGroup

_PUBLIC = {
    "pick_device": "tp_core.processes.devices",
    "ProcessGroup": "tp_core.processes.group",
    "TorchGroup": "tp_core.processes.torch_group",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
