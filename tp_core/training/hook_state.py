"""The state of hooks in checkpoints: JSON values and tensors."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from tp_core.errors import TPError


def kept(value: Any, place: str) -> Any:
    """Convert a value to the form stored in a checkpoint: tensors on the CPU, tuples as lists.

    Args:
        place: position of the value in the state, for messages.

    Raises:
        TPError: a checkpoint cannot hold the value.
    """
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [kept(each, f"{place}[{number}]") for number, each in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: kept(each, f"{place}.{key}") for key, each in value.items()}
    found = f"{value!r:.60}" if not isinstance(value, dict) else "a dictionary whose keys are no texts"
    raise TPError(f"train.hooks: the state that hooks save: {place}: expected a tensor or a JSON value, got {found}")
