"""The state of hooks in checkpoints: JSON values and tensors."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from tp_core.errors import TPError


def kept(value: Any, place: str) -> Any:
    """Convert a value to the form stored in a checkpoint: tensors on the CPU, tuples as lists, exactly Python's types.

    A subclass becomes its base, such as an ``IntEnum`` an int: a checkpoint is loaded without unpickling other classes.

    Args:
        place: position of the value in the state, for messages; empty for the state itself.

    Raises:
        TPError: a checkpoint cannot hold the value.
    """
    if hasattr(value, "full_tensor"):  # a DTensor; importing it costs more than a second
        hint = "keep trainer.strategy.whole(tensor), which every process calls"
        raise _refused(place, f"a part of a tensor that is divided among processes; {hint}")
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)  # str() may give something else for a subclass
    if isinstance(value, (list, tuple)):
        return [kept(each, f"{place}[{number}]") for number, each in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise _refused(place, f"a dictionary with the key {key!r:.60}, which is no text")
        return {str.__str__(key): kept(each, f"{place}.{key}".lstrip(".")) for key, each in value.items()}
    raise _refused(place, f"{value!r:.60}")


def _refused(place: str, found: str) -> TPError:
    where = f"{place}: " if place else ""
    return TPError(f"train.hooks: the state that hooks save: {where}expected a tensor or a JSON value, got {found}")
