"""Metrics as JSON and as text. Torch-free."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json(values: Mapping[str, Any]) -> str:
    """A JSON object on one line; numbers that are not finite become null, because JSON cannot represent them."""
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    return json.dumps(plain, allow_nan=False)


def as_text(value: float) -> str:
    """A metric with four decimal places; ``null`` if it is NaN."""
    return "null" if math.isnan(value) else f"{value:.4f}"
