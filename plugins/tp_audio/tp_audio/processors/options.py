"""Shared options of processors for recordings. Torch-free."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.processor import ProcessorConfig

Role = Literal["bos", "eos", "cls", "sep", "pad"]


#: Normalisation of filter banks over a recording.
Normalization = Literal["mean_variance", "mean", "level", "none"]


#: Metrics of processors for the target ctc. Words and characters are those of the original texts.
ERROR_RATES: Mapping[str, MetricFacts] = dict.fromkeys(["word_error_rate", "character_error_rate"], MetricFacts("low"))


#: Padding keys of a preprocessor_config.json: padding is on the right and zero.
PADDING_KEYS: Mapping[str, tuple[Any, ...]] = {"padding_side": ("right",), "padding_value": (0.0,)}


class AudioProcessorConfig(ProcessorConfig):
    """Options for reading recordings."""

    terms: ClassVar[Mapping[str, str]] = {
        "sampling_rate": "sample_rate sr",
        "max_seconds": "max_audio_len max_audio_frames max_duration_in_seconds max_duration_secs",
    }

    length_column: ClassVar[str | None] = "audio"
    media_fields: ClassVar[frozenset[str]] = frozenset({"audio"})
    length_option: ClassVar[str] = "max_seconds"

    sampling_rate: int = Field(16000, gt=0, description="sampling rate of the model's input, in Hz")
    resample: bool = Field(True, description="resample recordings with another sampling rate; false: refuse them")
    mix_channels: bool = Field(True, description="average several channels; false: refuse such recordings")
    max_seconds: float | None = Field(
        None, gt=0, description="maximum duration of a recording in seconds; longer ones are bad records"
    )

    def seconds(self) -> float | None:
        """Maximum duration of a model input, in seconds; None if there is no limit."""
        return self.max_seconds

    def sequence_length(self) -> int | None:
        """Number of samples of the longest model input; None if there is no limit."""
        seconds = self.seconds()
        return None if seconds is None else int(seconds * self.sampling_rate)

    def libraries(self) -> Collection[str]:
        return ("soundfile", "torchaudio")  # for decoding and resampling
