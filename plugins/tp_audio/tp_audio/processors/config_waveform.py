"""Options of the processors of raw waveforms. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_audio.processors.config import ERROR_RATES, PADDING_KEYS, AudioProcessorConfig
from tp_core.config import BuildContext, DataContext, FieldSpec, Preprocessing, Problem
from tp_core.data.class_options import ClassLabelOptions
from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from tp_core.interfaces import Processor
    from tp_core.tokenizer import Tokenizer

_MASKS = ("mask_time_prob", "mask_time_length", "mask_time_min_masks")


class WaveformProcessorConfig(AudioProcessorConfig):
    """Raw waveforms with masks over their frames."""

    needs_tokenizer: ClassVar[bool] = False
    sampling_options: ClassVar[frozenset[str]] = frozenset((*_MASKS, "normalize", "attention_mask"))
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {**PADDING_KEYS, "feature_size": (1,)}

    normalize: bool = Field(True, description="each recording to mean 0 and variance 1")
    attention_mask: bool = Field(
        True,
        description="the model knows what is padding; false: it hears silence there, as wav2vec 2.0's base models did "
        "in training, and a recording's states depend on how much of it there is in the batch",
    )
    mask_time_prob: float = Field(0.65, ge=0, le=1, description="part of the frames in masked spans, overlaps twice")
    mask_time_length: int = Field(10, gt=0, description="frames of a span")
    mask_time_min_masks: int = Field(2, ge=0, description="spans of a recording at least")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        names = ("attention_mask", "mask_time_indices")
        return {
            "input_values": FieldSpec(("batch", "length"), "float32"),
            **{name: FieldSpec(dtype="bool") for name in names},
        }

    def to_huggingface(self, data: DataContext) -> Preprocessing | None:
        from tp_audio.processors.huggingface import written_waveforms

        return written_waveforms(self)

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing | None:
        from tp_audio.processors.huggingface import read_waveforms

        return read_waveforms(self, content)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        embedding = data.embedding_options.get("waveform", {})
        if self.mask_time_prob and embedding.get("mask_vector") is False:
            message = "masks frames, and the waveform embedding has mask_vector: false; set one of them otherwise"
            yield Problem("mask_time_prob", message)


class PretrainingProcessorConfig(WaveformProcessorConfig):
    """Raw waveforms for self-supervised training: long recordings are cut at each visit."""

    sampling_options: ClassVar[frozenset[str]] = WaveformProcessorConfig.sampling_options | {"crop_seconds"}

    crop_seconds: float | None = Field(
        15.6, gt=0, description="longest piece of a recording; a random one is taken at each visit; null: no limit"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.mask_time_prob == 0 and self.mask_time_min_masks == 0:
            yield Problem("mask_time_prob", "and mask_time_min_masks are both 0, so that nothing is masked")


class Wav2Vec2ProcessorConfig(PretrainingProcessorConfig):
    """Raw waveforms with masks and distractors, for the target wav2vec2 (Baevski et al., 2020)."""

    sampling_options: ClassVar[frozenset[str]] = PretrainingProcessorConfig.sampling_options | {"num_negatives"}

    num_negatives: int = Field(100, gt=0, description="distractors of each masked frame, of the same recording")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:wav2vec2": FieldSpec()}

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.pretraining import Wav2Vec2Processor

        return Wav2Vec2Processor(self, data)


class UnitsProcessorConfig(PretrainingProcessorConfig):
    """Raw waveforms with masks and their cluster units, for the target units (Hsu et al., 2021).

    Each record has ``audio`` and ``units``: a list of integers, or a text of them with spaces between. ``tp units``
    writes such records.
    """

    optional_fields: ClassVar[frozenset[str]] = frozenset({"units"})
    sampling_options: ClassVar[frozenset[str]] = PretrainingProcessorConfig.sampling_options | {
        *("mixing_prob", "mixing_noise_prob", "mixing_energy")
    }

    mask_time_prob: float = Field(0.8, ge=0, le=1, description="part of the frames in masked spans, overlaps twice")
    unit_rate: float = Field(50.0, gt=0, description="units of a second; HuBERT's first clusters have 100")
    mixing_prob: float = Field(
        0.0, ge=0, le=1, description="how often a piece of another recording is added, as WavLM does with 0.2"
    )
    mixing_noise_prob: float = Field(0.0, ge=0, le=1, description="how often it is white noise instead")
    mixing_energy: float = Field(5.0, ge=0, description="its energy relative to the recording's, at most ± so many dB")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:units": FieldSpec()}

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.pretraining import UnitsProcessor

        return UnitsProcessor(self, data)


class FinetuningProcessorConfig(WaveformProcessorConfig):
    """Raw waveforms of which something is to be found out; masks are drawn in training only."""

    mask_time_prob: float = Field(0.05, ge=0, le=1, description="part of the frames in masked spans, overlaps twice")


class WaveformClassificationProcessorConfig(ClassLabelOptions, FinetuningProcessorConfig):
    """Raw waveforms with a class label each: commands, speakers, languages, sounds."""

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.classification import WaveformClassificationProcessor

        return WaveformClassificationProcessor(self, data)


class WaveformCtcProcessorConfig(FinetuningProcessorConfig):
    """Raw waveforms and their texts for the target ctc; masks are drawn in training only."""

    needs_tokenizer: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"text"})

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().provides(context) | {"labels:ctc": FieldSpec()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return ERROR_RATES

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        from tp_audio.processors.waveform import WaveformCtcProcessor

        assert tokenizer is not None
        return WaveformCtcProcessor(self, data, tokenizer)
