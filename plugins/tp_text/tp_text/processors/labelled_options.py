"""Options that processors of texts with labels share. Torch-free."""

from typing import ClassVar

from tp_core.data.label_options import LabelOptions
from tp_text.processors.text_options import TextProcessorConfig


class LabelledTextConfig(LabelOptions, TextProcessorConfig):
    """A text, or a pair of texts, with a label. Subclasses say which labels, with a mixin before this class."""

    implementation: ClassVar[str] = "tp_text.processors.labelled:LabelledTextProcessor"
