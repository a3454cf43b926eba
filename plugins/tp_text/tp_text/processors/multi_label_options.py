"""Options of multi-label classification of texts. Torch-free."""

from tp_core.data.classes.set_options import ClassSetOptions
from tp_text.processors.labelled_options import LabelledTextConfig


class MultiLabelProcessorConfig(ClassSetOptions, LabelledTextConfig):
    """A text, or a pair of texts, with any number of class labels."""
