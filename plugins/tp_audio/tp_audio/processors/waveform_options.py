"""Options of processors of waveforms. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_audio.embeddings.waveform_options import WaveformConfig
from tp_audio.ports import INPUT_VALUES
from tp_audio.processors.options import ERROR_RATES, PADDING_KEYS, AudioProcessorConfig
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Preprocessing, Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.huggingface import PreprocessorFile
from tp_core.options.ports import ATTENTION_MASK, Port

_MASKS = ("mask_time_prob", "mask_time_length", "mask_time_min_masks")


class WaveformProcessorConfig(PreprocessorFile, AudioProcessorConfig):
    """Raw waveforms with masked frames."""

    terms: ClassVar[Mapping[str, str]] = {
        "normalize": "do_normalize audio_preprocess",
    }

    needs_tokenizer: ClassVar[bool] = False
    sampling_options: ClassVar[frozenset[str]] = frozenset((*_MASKS, "normalize", "attention_mask"))
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {**PADDING_KEYS, "feature_size": (1,)}

    normalize: bool = Field(True, description="normalise each recording to mean 0 and variance 1")
    attention_mask: bool = Field(
        True,
        description="mask padding; false: the model reads padding as silence, as wav2vec 2.0's base models did in "
        "training, and a recording's states depend on the amount of padding in the batch",
    )
    mask_time_prob: float = Field(0.65, ge=0, le=1, description="share of frames in masked spans; overlaps count twice")
    mask_time_length: int = Field(10, gt=0, description="frames per span")
    mask_time_min_masks: int = Field(2, ge=0, description="minimum number of spans per recording")

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        names = (ATTENTION_MASK, Port.input("mask_time_indices"))
        return {
            INPUT_VALUES: FieldSpec(("batch", "length"), "float32"),
            **{name: FieldSpec(dtype="bool") for name in names},
        }

    def to_huggingface(self, data: DataContext) -> Preprocessing:
        from tp_audio.processors.huggingface import written_waveforms

        return written_waveforms(self)

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
        from tp_audio.processors.huggingface import read_waveforms

        return read_waveforms(self, content)

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        embedding = data.fact(WaveformConfig)
        if self.mask_time_prob and embedding is not None and not embedding.mask_vector:
            message = "masks frames, but the waveform embedding has mask_vector: false; set it to true, or this to 0"
            yield Problem("mask_time_prob", message)


class FinetuningProcessorConfig(WaveformProcessorConfig):
    """Raw waveforms with labels. Frames are masked in training only."""

    mask_time_prob: float = Field(0.05, ge=0, le=1, description="share of frames in masked spans; overlaps count twice")


class WaveformCtcProcessorConfig(FinetuningProcessorConfig):
    """Raw waveforms and their texts, for the target ctc. Frames are masked in training only."""

    implementation: ClassVar[str] = "tp_audio.processors.waveform:WaveformCtcProcessor"
    needs_tokenizer: ClassVar[bool] = True
    optional_fields: ClassVar[frozenset[str]] = frozenset({"text"})

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return super().provides(context) | {Port.labels("ctc"): FieldSpec()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return ERROR_RATES
