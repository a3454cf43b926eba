"""Metrics as JSON and a reader have them. Torch-free."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json(values: Mapping[str, Any]) -> str:
    """One object on one line; a number that is not finite, which JSON does not have, is null."""
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    return json.dumps(plain, allow_nan=False)


def as_text(value: float) -> str:
    """A metric with four places; null where it is not defined."""
    return "null" if math.isnan(value) else f"{value:.4f}"
