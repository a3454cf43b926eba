"""Options of processors for recordings with class labels. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_audio.processors.options import Normalization
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_audio.processors.waveform_options import FinetuningProcessorConfig
from tp_core.data.classes.options import ClassLabelOptions


class SpeechClassificationProcessorConfig(ClassLabelOptions, SpeechProcessorConfig):
    """Filter banks of recordings with one class label each: commands, speakers, languages, sounds."""

    implementation: ClassVar[str] = "tp_audio.processors.classification:SpeechClassificationProcessor"
    needs_tokenizer: ClassVar[bool] = False

    normalize: Normalization = Field(
        "level",
        description="level: mean 0 and variance 1 over all bins together; mean_variance: for each bin by itself, which "
        "loses constant sounds; mean: only mean 0; none: no normalisation",
    )


class WaveformClassificationProcessorConfig(ClassLabelOptions, FinetuningProcessorConfig):
    """Raw waveforms with one class label each: commands, speakers, languages, sounds."""

    implementation: ClassVar[str] = "tp_audio.processors.classification:WaveformClassificationProcessor"
