"""Options of text classification. Torch-free."""

from typing import ClassVar

from tp_core.data.classes.options import ClassLabelOptions
from tp_text.processors.labelled_options import LabelledTextConfig


class ClassificationProcessorConfig(ClassLabelOptions, LabelledTextConfig):
    """A text, or a pair of texts, with a class label."""

    implementation: ClassVar[str] = "tp_text.processors.classification:ClassificationProcessor"
