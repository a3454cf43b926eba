"""Options of recordings with classes. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_audio.processors.options import Normalization
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_audio.processors.waveform_options import FinetuningProcessorConfig
from tp_core.data.classes.options import ClassLabelOptions


class SpeechClassificationProcessorConfig(ClassLabelOptions, SpeechProcessorConfig):
    """Recordings with a class label each, as filter banks: commands, speakers, languages, sounds."""

    implementation: ClassVar[str] = "tp_audio.processors.classification:SpeechClassificationProcessor"
    needs_tokenizer: ClassVar[bool] = False

    normalize: Normalization = Field(
        "level",
        description="what a recording is normalised to: mean 0, and variance 1, all bins together (level) or each by "
        "itself, in which what sounds all the time is lost",
    )


class WaveformClassificationProcessorConfig(ClassLabelOptions, FinetuningProcessorConfig):
    """Raw waveforms with a class label each: commands, speakers, languages, sounds."""

    implementation: ClassVar[str] = "tp_audio.processors.classification:WaveformClassificationProcessor"
