"""Models of transformers without memory."""

from __future__ import annotations

from typing import Any

import torch


def on_meta(cls: Any, config: Any) -> Any:
    """A model on the meta device.

    Its classes are given, so that nothing is imported inside the block: the constants of libraries would have no values
    for the rest of the process.
    """
    with torch.device("meta"):
        return cls(config)
