"""Options of regression of texts. Torch-free."""

from tp_core.data.numbers.options import NumberLabelOptions
from tp_text.processors.labelled_options import LabelledTextConfig


class RegressionProcessorConfig(NumberLabelOptions, LabelledTextConfig):
    """A text, or a pair of texts, with one or several numbers as labels."""
