"""Options of processors that compute filter banks. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tp_audio.embeddings.speech_options import SpeechConfig
from tp_audio.ports import INPUT_FEATURES
from tp_audio.processors.options import PADDING_KEYS, AudioProcessorConfig, Normalization
from tp_core.options.base import Preprocessing, Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.huggingface import PreprocessorFile
from tp_core.options.ports import ATTENTION_MASK, Port


class SpeechProcessorConfig(PreprocessorFile, AudioProcessorConfig):
    """Options of filter banks and their augmentation in training."""

    terms: ClassVar[Mapping[str, str]] = {
        "num_mel_bins": "n_mels num_mels n_mel audio_feature_size",
        "normalize": "do_normalize audio_preprocess",
    }

    sampling_options: ClassVar[frozenset[str]] = frozenset(
        (
            *("num_mel_bins", "frame_shift", "low_frequency", "high_frequency", "normalize", "speeds", "time_masks"),
            *("time_mask_width", "time_mask_fraction", "frequency_masks", "frequency_mask_width"),
        )
    )

    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {**PADDING_KEYS, "return_attention_mask": (True,)}
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset({"feature_size"})  # equals num_mel_bins, which is read

    num_mel_bins: int = Field(80, gt=3, description="number of filter banks per frame")
    frame_length: float = Field(25.0, gt=0, description="length of a frame, in milliseconds")
    frame_shift: float = Field(10.0, gt=0, description="distance between two frames, in milliseconds")
    low_frequency: float = Field(20.0, ge=0, description="lower end of the lowest filter bank, in Hz")
    high_frequency: float = Field(
        0.0,
        description="upper end of the highest filter bank, in Hz; 0 or a negative value is added to half the sampling "
        "rate",
    )
    normalize: Normalization = Field(
        "mean_variance",
        description="mean_variance: mean 0 and variance 1 for each bin of a recording; mean: only mean 0; level: mean "
        "0 and variance 1 over all bins together, which keeps constant sounds; none: no normalisation",
    )
    speeds: list[Annotated[float, Field(ge=0.1, le=10)]] = Field(
        [1.0],
        min_length=1,
        description="speed factors, rounded to hundredths; in training, a random one is applied at each visit",
    )
    time_masks: int = Field(0, ge=0, description="SpecAugment in training: number of time masks")
    time_mask_width: int = Field(100, gt=0, description="maximum width of a time mask, in frames")
    time_mask_fraction: float = Field(
        1.0, gt=0, le=1, description="maximum width of a time mask, as a share of the recording"
    )
    frequency_masks: int = Field(0, ge=0, description="SpecAugment in training: number of frequency masks")
    frequency_mask_width: int = Field(27, gt=0, description="maximum width of a frequency mask, in filter banks")

    def window(self) -> int:
        """Number of samples of a frame, which is the minimum length of a recording."""
        return int(self.sampling_rate * self.frame_length / 1000)

    def sequence_length(self) -> int | None:
        """Number of frames of the longest recording at the slowest speed."""
        samples = super().sequence_length()
        if samples is None:
            return None
        slowest = int(samples / min(*self.speeds, 1.0))
        return max(1, (slowest - self.window()) // int(self.sampling_rate * self.frame_shift / 1000) + 1)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        features = FieldSpec(("batch", "length", self.num_mel_bins), "float32")
        return {INPUT_FEATURES: features, ATTENTION_MASK: FieldSpec()}

    def to_huggingface(self, data: DataContext) -> Preprocessing:
        from tp_audio.processors.huggingface import written_filter_banks

        return written_filter_banks(self)

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
        from tp_audio.processors.huggingface import read_filter_banks

        return read_filter_banks(self, content)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        embedding = data.fact(SpeechConfig)
        if embedding is not None and embedding.num_mel_bins != self.num_mel_bins:
            bins = f"is {self.num_mel_bins}, but the embedding 'speech' has {embedding.num_mel_bins}"
            yield Problem("num_mel_bins", bins)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        half = self.sampling_rate / 2
        for option, least in (("frame_length", 2), ("frame_shift", 1)):
            milliseconds = getattr(self, option)
            if int(self.sampling_rate * milliseconds / 1000) < least:
                yield Problem(option, f"is {milliseconds:g} ms, too short for {self.sampling_rate} samples per second")
        highest = self.high_frequency if self.high_frequency > 0 else half + self.high_frequency
        if highest > half:
            message = f"is {highest:g} Hz; {self.sampling_rate} samples per second have nothing above {half:g} Hz"
            yield Problem("high_frequency", message)
        elif self.low_frequency >= highest:
            yield Problem("low_frequency", f"is {self.low_frequency:g} Hz, but the filter banks end at {highest:g} Hz")
        if self.frequency_mask_width > self.num_mel_bins and self.frequency_masks:
            message = f"is {self.frequency_mask_width}, but there are only {self.num_mel_bins} filter banks"
            yield Problem("frequency_mask_width", message)
