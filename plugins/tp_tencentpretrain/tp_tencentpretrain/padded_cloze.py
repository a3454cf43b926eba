"""The processor of the original's ChID models."""

from __future__ import annotations

from typing import Any

import numpy as np

from tp_core.interfaces import Sample
from tp_text.processors.cloze import ClozeProcessor


class PaddedClozeProcessor(ClozeProcessor):
    """A cloze processor whose sequences all have ``max_length`` tokens: padding tokens are real positions."""

    def assemble(self, first: Any, second: Any | None = None) -> Sample:
        sample = super().assemble(first, second)
        missing = self.max_length - len(sample["input_ids"])
        fill = {"input_ids": self.pad, "token_type_ids": 0}
        return {name: np.pad(sample[name], (0, missing), constant_values=value) for name, value in fill.items()}
