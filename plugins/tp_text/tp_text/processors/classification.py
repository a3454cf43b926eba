"""Texts, or pairs of texts, with a class label."""

from __future__ import annotations

from tp_core.interfaces import Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.classification_options import ClassificationProcessorConfig
from tp_text.processors.labelled import LabelledTextProcessor


class ClassificationProcessor(LabelledTextProcessor):
    """Reads texts with a class label. Processors whose records may also have other labels derive from it."""

    def __init__(self, config: ClassificationProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.classes = self.record_labels
