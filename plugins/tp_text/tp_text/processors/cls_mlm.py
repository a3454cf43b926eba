"""Classification combined with masked language modelling."""

from __future__ import annotations

import numpy as np

from tp_core.interfaces import Inputs, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.classification import ClassificationProcessor
from tp_text.processors.cls_mlm_options import ClassificationMlmProcessorConfig
from tp_text.processors.masking import Masking


class ClassificationMlmProcessor(ClassificationProcessor):
    """Reads the same fields as ``cls`` and masks tokens; the choice is drawn anew each time a row is read."""

    def __init__(self, config: ClassificationMlmProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.masking = Masking(config, tokenizer, config.max_length)

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = super().sample(rows, index, generator)
        self.masking(sample, generator)
        return sample

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        masked = "mlm_positions" in samples[0]
        own: dict[str, Inputs] = {"mlm": self.masking.labels(samples)} if masked else self.mask_labels(samples)
        return super().labels(samples) | own
