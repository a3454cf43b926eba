"""Options of the speech processors. Torch-free."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from tp_core.config import BuildContext, DataContext, FieldSpec, Preprocessing, Problem, ProcessorConfig
from tp_core.data.class_options import ClassLabelOptions
from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.tokenizer import Tokenizer, TokenizerFacts

Role = Literal["bos", "eos", "cls", "sep", "pad"]

#: What filter banks are normalised by, over a recording.
Normalization = Literal["mean_variance", "mean", "level", "none"]


#: What processors of texts for the target ctc measure; the words and characters are those of the data.
ERROR_RATES: Mapping[str, MetricFacts] = dict.fromkeys(["word_error_rate", "character_error_rate"], MetricFacts("low"))

#: Keys of a preprocessor_config.json on padding, which stands behind a recording and is zero.
PADDING_KEYS: Mapping[str, tuple[Any, ...]] = {"padding_side": ("right",), "padding_value": (0.0,)}


class AudioProcessorConfig(ProcessorConfig):
    """How recordings are read, whatever is made of them."""

    length_column: ClassVar[str | None] = "audio"
    media_fields: ClassVar[frozenset[str]] = frozenset({"audio"})

    sampling_rate: int = Field(16000, gt=0, description="samples per second that the model hears")
    resample: bool = Field(True, description="resample recordings of another rate; false: refuse them")
    mix_channels: bool = Field(True, description="average several channels; false: refuse such recordings")
    max_seconds: float | None = Field(None, gt=0, description="longest recording to train on; others are bad records")

    def libraries(self) -> Collection[str]:
        return ("soundfile", "torchaudio")  # which decode and resample


class SpeechProcessorConfig(AudioProcessorConfig):
    """Filter banks of recordings, and what training does to them."""

    sampling_options: ClassVar[frozenset[str]] = frozenset(
        (
            *("num_mel_bins", "frame_shift", "low_frequency", "high_frequency", "normalize", "speeds", "time_masks"),
            *("time_mask_width", "time_mask_fraction", "frequency_masks", "frequency_mask_width"),
        )
    )

    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {**PADDING_KEYS, "return_attention_mask": (True,)}
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset({"feature_size"})  # num_mel_bins says the same, and is read

    num_mel_bins: int = Field(80, gt=3, description="filter banks of each frame")
    frame_length: float = Field(25.0, gt=0, description="of a frame, in milliseconds")
    frame_shift: float = Field(10.0, gt=0, description="from one frame to the next, in milliseconds")
    low_frequency: float = Field(20.0, ge=0, description="where the lowest filter bank begins, in Hz")
    high_frequency: float = Field(
        0.0, description="where the highest ends, in Hz; 0 and below: so far from half the sampling rate"
    )
    normalize: Normalization = Field(
        "mean_variance",
        description="what each bin of a recording is normalised to: mean 0, and variance 1; level: all bins together, "
        "so that what sounds all the time is still heard",
    )
    speeds: list[Annotated[float, Field(ge=0.1, le=10)]] = Field(
        [1.0], min_length=1, description="in training, one of these is drawn at each visit; in hundredths"
    )
    time_masks: int = Field(0, ge=0, description="SpecAugment in training: spans of time that are hidden")
    time_mask_width: int = Field(100, gt=0, description="longest of these, in frames")
    time_mask_fraction: float = Field(1.0, gt=0, le=1, description="largest part of a recording that one hides")
    frequency_masks: int = Field(0, ge=0, description="SpecAugment in training: bands that are hidden")
    frequency_mask_width: int = Field(27, gt=0, description="widest of these, in filter banks")

    def window(self) -> int:
        """Samples of a frame, the fewest that a recording may have."""
        return int(self.sampling_rate * self.frame_length / 1000)

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        features = FieldSpec(("batch", "length", self.num_mel_bins), "float32")
        return {"input_features": features, "attention_mask": FieldSpec()}

    def to_huggingface(self, data: DataContext) -> Preprocessing | None:
        from tp_audio.processors.huggingface import written_filter_banks

        return written_filter_banks(self)

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing | None:
        from tp_audio.processors.huggingface import read_filter_banks

        return read_filter_banks(self, content)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        bins = data.embedding_options.get("speech", {}).get("num_mel_bins", self.num_mel_bins)
        if bins != self.num_mel_bins:
            yield Problem("num_mel_bins", f"is {self.num_mel_bins}, but that of the embedding 'speech' is {bins}")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        half = self.sampling_rate / 2
        for option, least in (("frame_length", 2), ("frame_shift", 1)):
            milliseconds = getattr(self, option)
            if int(self.sampling_rate * milliseconds / 1000) < least:
                yield Problem(option, f"is {milliseconds:g} ms; {self.sampling_rate} samples per second need more")
        highest = self.high_frequency if self.high_frequency > 0 else half + self.high_frequency
        if highest > half:
            message = f"is {highest:g} Hz; {self.sampling_rate} samples per second have nothing above {half:g} Hz"
            yield Problem("high_frequency", message)
        elif self.low_frequency >= highest:
            yield Problem("low_frequency", f"is {self.low_frequency:g} Hz, and the filter banks end at {highest:g} Hz")
        if self.frequency_mask_width > self.num_mel_bins and self.frequency_masks:
            yield Problem("frequency_mask_width", f"is {self.frequency_mask_width} of {self.num_mel_bins} filter banks")


class SpeechTextProcessorConfig(SpeechProcessorConfig):
    """Speech for an encoder, and its text for a decoder to write (Speech2Text; Wang et al., 2020).

    The decoder's input is the start token and the text; its labels are the text and the end token.
    """

    sampling_options: ClassVar[frozenset[str]] = SpeechProcessorConfig.sampling_options | {"start", "end"}
    optional_fields: ClassVar[frozenset[str]] = frozenset({"text"})

    target_max_length: int = Field(256, gt=1, description="longest decoder input; longer texts are bad records")
    start: Role | None = Field(None, description="token that the decoder's input begins with; unset: eos, else sep")
    end: Role | None = Field(None, description="token that a text ends with; unset: eos, else sep")

    def target_sequence_length(self) -> int | None:
        return self.target_max_length

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        names = ("target:input_ids", "target:attention_mask", "labels:lm")
        return super().provides(context) | {name: FieldSpec() for name in names}

    def edge(self, option: Literal["start", "end"], special: Mapping[str, int]) -> int | None:
        """The id of the start or end token in a vocabulary, or None if it has no such token."""
        return next((special[role] for role in self.roles(option) if role in special), None)

    def roles(self, option: Literal["start", "end"]) -> tuple[str, ...]:
        """The roles that the start or end token may have; the first that the vocabulary has is taken."""
        chosen = self.start if option == "start" else self.end
        return ("eos", "sep") if chosen is None else (chosen,)

    def starting_with(self, token: int, special: Mapping[str, int]) -> Mapping[str, Any]:
        return next(({"start": role} for role in get_args(Role) if special.get(role) == token), {})

    def check_target_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        options: tuple[Literal["start", "end"], ...] = ("start", "end")
        for option in options:
            if self.edge(option, tokenizer.special) is None:
                roles, have = " or ".join(self.roles(option)), ", ".join(tokenizer.special) or "none"
                message = f"the vocabulary has no token for {option}: expected {roles}; its special tokens are {have}"
                yield Problem(option, message)

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.speech_text import SpeechTextProcessor

        assert tokenizer is not None
        return SpeechTextProcessor(self, data, tokenizer)


class SpeechClassificationProcessorConfig(ClassLabelOptions, SpeechProcessorConfig):
    """Recordings with a class label each, as filter banks: commands, speakers, languages, sounds."""

    needs_tokenizer: ClassVar[bool] = False

    normalize: Normalization = Field(
        "level",
        description="what a recording is normalised to: mean 0, and variance 1, all bins together (level) or each by "
        "itself, in which what sounds all the time is lost",
    )

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.classification import SpeechClassificationProcessor

        return SpeechClassificationProcessor(self, data)


class SpeechCtcProcessorConfig(SpeechProcessorConfig):
    """Speech and its text for the target ctc."""

    optional_fields: ClassVar[frozenset[str]] = frozenset({"text"})

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:ctc": FieldSpec()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return ERROR_RATES

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.speech_ctc import SpeechCtcProcessor

        assert tokenizer is not None
        return SpeechCtcProcessor(self, data, tokenizer)
