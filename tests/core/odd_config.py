"""A config in a module that imports torch."""

from __future__ import annotations

from typing import Any

import torch

from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig


class ImportsTorchConfig(EncoderConfig):
    """A config whose module imports torch."""

    def build(self, context: BuildContext) -> Any:
        return torch.nn.Identity()
