"""Options that processors of recordings share. Torch-free."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.processor import ProcessorConfig

Role = Literal["bos", "eos", "cls", "sep", "pad"]


#: What filter banks are normalised by, over a recording.
Normalization = Literal["mean_variance", "mean", "level", "none"]


#: What processors of texts for the target ctc measure; the words and characters are those of the data.
ERROR_RATES: Mapping[str, MetricFacts] = dict.fromkeys(["word_error_rate", "character_error_rate"], MetricFacts("low"))


#: Keys of a preprocessor_config.json on padding, which stands behind a recording and is zero.
PADDING_KEYS: Mapping[str, tuple[Any, ...]] = {"padding_side": ("right",), "padding_value": (0.0,)}


class AudioProcessorConfig(ProcessorConfig):
    """Options of reading recordings, whatever is made of them."""

    length_column: ClassVar[str | None] = "audio"
    media_fields: ClassVar[frozenset[str]] = frozenset({"audio"})
    length_option: ClassVar[str] = "max_seconds"

    sampling_rate: int = Field(16000, gt=0, description="samples per second that the model hears")
    resample: bool = Field(True, description="resample recordings of another rate; false: refuse them")
    mix_channels: bool = Field(True, description="average several channels; false: refuse such recordings")
    max_seconds: float | None = Field(None, gt=0, description="longest recording to train on; others are bad records")

    def seconds(self) -> float | None:
        """The longest that the model hears of a recording; None if there is no bound."""
        return self.max_seconds

    def sequence_length(self) -> int | None:
        """Samples of the longest recording."""
        seconds = self.seconds()
        return None if seconds is None else int(seconds * self.sampling_rate)

    def libraries(self) -> Collection[str]:
        return ("soundfile", "torchaudio")  # which decode and resample
