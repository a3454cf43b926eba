"""Options of processors of waveforms with masks, for pre-training. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_audio.processors.waveform_options import WaveformProcessorConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port


class PretrainingProcessorConfig(WaveformProcessorConfig):
    """Raw waveforms for self-supervised training. Long recordings are cropped at random at each visit."""

    sampling_options: ClassVar[frozenset[str]] = WaveformProcessorConfig.sampling_options | {"crop_seconds"}
    length_option: ClassVar[str] = "crop_seconds"

    crop_seconds: float | None = Field(
        15.6, gt=0, description="maximum length of the random crop taken at each visit, in seconds; null: no limit"
    )

    def seconds(self) -> float | None:
        return min((each for each in (self.max_seconds, self.crop_seconds) if each is not None), default=None)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.mask_time_prob == 0 and self.mask_time_min_masks == 0:
            yield Problem("mask_time_prob", "and mask_time_min_masks are both 0, so nothing is masked")


class Wav2Vec2ProcessorConfig(PretrainingProcessorConfig):
    """Raw waveforms with masks and distractors, for the target wav2vec2 (Baevski et al., 2020)."""

    implementation: ClassVar[str] = "tp_audio.processors.pretraining:Wav2Vec2Processor"
    sampling_options: ClassVar[frozenset[str]] = PretrainingProcessorConfig.sampling_options | {"num_negatives"}

    num_negatives: int = Field(100, gt=0, description="number of distractors per masked frame, from the same recording")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("wav2vec2"): FieldSpec()}


class UnitsProcessorConfig(PretrainingProcessorConfig):
    """Raw waveforms with masks and their cluster units, for the target units (Hsu et al., 2021).

    Each record has ``audio`` and ``units``, a list of integers or a text with integers separated by spaces. The command
    ``tp units`` writes such records.
    """

    implementation: ClassVar[str] = "tp_audio.processors.pretraining:UnitsProcessor"
    optional_fields: ClassVar[frozenset[str]] = frozenset({"units"})
    sampling_options: ClassVar[frozenset[str]] = PretrainingProcessorConfig.sampling_options | {
        *("mixing_prob", "mixing_noise_prob", "mixing_energy")
    }

    mask_time_prob: float = Field(0.8, ge=0, le=1, description="share of frames in masked spans; overlaps count twice")
    unit_rate: float = Field(50.0, gt=0, description="units per second; HuBERT's first clusters have 100")
    mixing_prob: float = Field(
        0.0, ge=0, le=1, description="probability of mixing in a piece of another recording; WavLM uses 0.2"
    )
    mixing_noise_prob: float = Field(
        0.0, ge=0, le=1, description="probability that the mixed-in piece is white noise instead"
    )
    mixing_energy: float = Field(
        5.0, ge=0, description="maximum difference in energy of the piece and the recording, in dB, in both directions"
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("units"): FieldSpec()}
