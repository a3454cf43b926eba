"""Options of processors for recordings with labels. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_audio.processors.options import Normalization
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_audio.processors.waveform_options import FinetuningProcessorConfig
from tp_core.data.classes.options import ClassLabelOptions
from tp_core.data.classes.set_options import ClassSetOptions
from tp_core.data.label_options import LabelOptions
from tp_core.data.numbers.options import NumberLabelOptions


class LabelledSpeechConfig(LabelOptions, SpeechProcessorConfig):
    """Filter banks of recordings with a label each. Subclasses say which labels, with a mixin before this class."""

    implementation: ClassVar[str] = "tp_audio.processors.classification:LabelledSpeechProcessor"
    needs_tokenizer: ClassVar[bool] = False

    normalize: Normalization = Field(
        "level",
        description="level: mean 0 and variance 1 over all bins together; mean_variance: for each bin by itself, which "
        "loses constant sounds; mean: only mean 0; none: no normalisation",
    )


class SpeechClassificationProcessorConfig(ClassLabelOptions, LabelledSpeechConfig):
    """Filter banks of recordings with one class label each: commands, speakers, languages, sounds."""


class SpeechMultiLabelConfig(ClassSetOptions, LabelledSpeechConfig):
    """Filter banks of recordings with any number of class labels each: sounds, instruments, tags."""


class SpeechRegressionConfig(NumberLabelOptions, LabelledSpeechConfig):
    """Filter banks of recordings with one or several numbers as labels: age, valence, quality."""


class LabelledWaveformConfig(LabelOptions, FinetuningProcessorConfig):
    """Raw waveforms with a label each. Subclasses say which labels, with a mixin before this class."""

    implementation: ClassVar[str] = "tp_audio.processors.classification:LabelledWaveformProcessor"


class WaveformClassificationProcessorConfig(ClassLabelOptions, LabelledWaveformConfig):
    """Raw waveforms with one class label each: commands, speakers, languages, sounds."""


class WaveformMultiLabelConfig(ClassSetOptions, LabelledWaveformConfig):
    """Raw waveforms with any number of class labels each: sounds, instruments, tags."""


class WaveformRegressionConfig(NumberLabelOptions, LabelledWaveformConfig):
    """Raw waveforms with one or several numbers as labels: age, valence, quality."""
