"""Processors of raw waveforms: the base classes, and the processor of transcribed waveforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_audio.audio.decoding import Samples
from tp_audio.embeddings.waveform_options import WaveformConfig, frames_of, shortest
from tp_audio.processors.recorded import RecordedRows
from tp_audio.processors.speech_ctc import CtcTexts
from tp_audio.processors.transcribed import TranscribedRows
from tp_audio.processors.waveform_options import WaveformCtcProcessorConfig, WaveformProcessorConfig
from tp_core.data.spelling import spelled
from tp_core.interfaces import Batch, Inputs, Processor, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext

#: Added to the variance, so that silence stays silent.
_EPSILON = 1e-7


def time_mask(
    frames: int, probability: float, length: int, at_least: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A mask (frames,), True at masked frames. It has spans at distinct random starts; spans may overlap.

    The number of spans is ``probability · frames / length``, rounded up or down at random, as in wav2vec 2.0 and
    SpecAugment.
    """
    spans = max(int(probability * frames / length + generator.random()), at_least)
    spans = max(0, min(spans, frames // length, frames - length + 1))
    masked = np.zeros(frames, dtype=np.bool_)
    if spans:
        starts = generator.choice(frames - length + 1, spans, replace=False)
        masked[starts[:, None] + np.arange(length)] = True
    return masked


class WaveformProcessor(Processor):
    """Samples are ``input_values`` (samples,) and, if frames are masked, ``mask`` (frames,)."""

    def __init__(self, config: WaveformProcessorConfig, data: DataContext) -> None:
        self.config = config
        known = data.fact(WaveformConfig) or WaveformConfig()
        self.kernels, self.strides = list(known.kernels), list(known.strides)
        self.least = shortest(self.kernels, self.strides)

    def frames(self, samples: int) -> int:
        """The model's number of frames for ``samples`` samples."""
        return frames_of(samples, self.kernels, self.strides)

    def normalised(self, samples: Samples) -> Samples:
        if not self.config.normalize:
            return samples
        scaled: Samples = (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(_EPSILON))
        return scaled

    def mask(self, samples: int, generator: np.random.Generator) -> NDArray[np.bool_]:
        """A random mask (frames,) for ``samples`` samples, True at masked frames."""
        config = self.config
        return time_mask(
            self.frames(samples), config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks, generator
        )

    def inputs(self, samples: list[Sample]) -> Inputs:
        """``input_values`` (batch, longest), padded on the right with zeros.

        Optional further inputs are ``attention_mask`` (batch, longest) and ``mask_time_indices`` (batch, frames).
        """
        values: list[Samples] = [sample["input_values"] for sample in samples]
        lengths = np.array([len(each) for each in values])
        padded = np.zeros((len(values), int(lengths.max())), dtype=np.float32)
        for row, each in zip(padded, values):
            row[: len(each)] = each
        inputs: Inputs = {"input_values": torch.from_numpy(padded)}
        if self.config.attention_mask and int(lengths.min()) < padded.shape[1]:
            inputs["attention_mask"] = torch.from_numpy(np.arange(padded.shape[1]) < lengths[:, None])
        if "mask" in samples[0]:
            masked = np.zeros((len(values), self.frames(padded.shape[1])), dtype=np.bool_)
            for line, sample in zip(masked, samples):
                line[: len(sample["mask"])] = sample["mask"]
            inputs["mask_time_indices"] = torch.from_numpy(masked)
        return inputs


class FinetuningProcessor(WaveformProcessor):
    """Whole recordings with labels. Frames are masked in training only."""

    #: The columns of rows with labels, in addition to ``audio``.
    wanted: tuple[str, ...]
    rows: RecordedRows

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = self._whole(rows, index)
        if self.config.mask_time_prob or self.config.mask_time_min_masks:
            sample["mask"] = self.mask(len(sample["input_values"]), generator)
        return sample

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """A sample without masks."""
        return self._whole(rows, index)

    def _whole(self, rows: Rows, index: int) -> Sample:
        wanted = {name: rows.get(name, index) for name in self.wanted}
        return {"input_values": self.normalised(self.rows.stored(rows, index)), **wanted}

    def encode(self, records: list[Record]) -> list[Sample]:
        return [{"input_values": self.normalised(self.rows.samples(record))} for record in records]


class WaveformCtcProcessor(FinetuningProcessor):
    """Reads ``audio`` and ``text``, for the target ``ctc``."""

    wanted = ("text",)

    def __init__(self, config: WaveformCtcProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data)
        self.tokenizer, self.texts = tokenizer, CtcTexts(data, tokenizer)
        self.rows: TranscribedRows = TranscribedRows(config, tokenizer, self.least)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        return self.rows.prepare(records, report, self.texts.check)

    def remarks(self) -> list[str]:
        return self.rows.remarks()

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """A sample with the original text in ``written``."""
        return {**super().evaluation_sample(rows, index, generator), "written": rows.get("written", index)}

    def collate(self, samples: list[Sample]) -> Batch:
        return Batch.of(self.inputs(samples), len(samples), labels={"ctc": self.texts.labels(samples)})

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The predictions with ids replaced by texts."""
        return [spelled(each, self.tokenizer) for each in predictions]

    def carried(self, sample: Sample) -> Sample:
        return self.texts.carried(sample)

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, tuple[float, float]]:
        return self.texts.score(predictions, samples)
