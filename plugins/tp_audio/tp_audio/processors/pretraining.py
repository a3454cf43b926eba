"""Raw waveforms for self-supervised training: wav2vec 2.0's distractors, HuBERT's units, WavLM's mixtures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_audio.audio.decoding import Samples
from tp_audio.embeddings.waveform_options import shortest
from tp_audio.processors.pretraining_options import (
    PretrainingProcessorConfig,
    UnitsProcessorConfig,
    Wav2Vec2ProcessorConfig,
)
from tp_audio.processors.recorded import RecordedRows
from tp_audio.processors.waveform import WaveformProcessor
from tp_audio.targets.units_options import UnitsConfig
from tp_core.data.fields import missing_field
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Batch, Inputs, Record, Report, Rows, Sample
from tp_core.options.context import DataContext

#: Maximum number of frames without a unit at the end of a recording. Units may come from longer windows than frames.
_TOLERANCE = 3


class PretrainingProcessor(WaveformProcessor):
    """Reads ``audio``. Long recordings are cropped and frames are masked."""

    def __init__(self, config: PretrainingProcessorConfig, data: DataContext) -> None:
        super().__init__(config, data)
        span = shortest(self.kernels, self.strides, config.mask_time_length)
        self.rows = RecordedRows(config, span, f"one span of mask_time_length {config.mask_time_length}")
        self.readable = RecordedRows(config, self.least)
        self.stride = math.prod(self.strides)
        crop = config.crop_seconds
        self.longest = None if crop is None else max(int(crop * config.sampling_rate), self.rows.least)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        for chunk in self.rows.chunks(records, report):
            yield {"audio": [each.samples for each in chunk]}

    def piece(self, samples: Samples, generator: np.random.Generator) -> tuple[int, Samples]:
        """A random crop of a recording, and the index of its first frame."""
        if self.longest is None or len(samples) <= self.longest:
            return 0, samples
        first = int(generator.integers((len(samples) - self.longest) // self.stride + 1))
        return first, samples[first * self.stride :][: self.longest]

    def encode(self, records: list[Record]) -> list[Sample]:
        """The whole recordings of the field ``audio``, without masks."""
        return [{"input_values": self.normalised(self.readable.samples(record))} for record in records]


class Wav2Vec2Processor(PretrainingProcessor):
    """Samples have ``mask`` and ``negatives`` (masked frames, distractors)."""

    config: Wav2Vec2ProcessorConfig

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        _, samples = self.piece(self.rows.stored(rows, index), generator)
        mask = self.mask(len(samples), generator)
        negatives = self._negatives(int(mask.sum()), generator)
        return {"input_values": self.normalised(samples), "mask": mask, "negatives": negatives}

    def _negatives(self, masked: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Distractors of each masked frame, (masked, distractors): other masked frames, drawn with replacement."""
        if masked < 2:
            return np.zeros((0, self.config.num_negatives), dtype=np.int64)
        drawn = generator.integers(masked - 1, size=(masked, self.config.num_negatives))
        return drawn + (drawn >= np.arange(masked)[:, None])

    def collate(self, samples: list[Sample]) -> Batch:
        places = [np.flatnonzero(s["mask"])[: len(s["negatives"])] if "mask" in s else np.zeros(0) for s in samples]
        shape = len(samples), max(1, *map(len, places))
        positions = np.full(shape, IGNORE, dtype=np.int64)
        negatives = np.zeros((*shape, self.config.num_negatives), dtype=np.int64)
        for row, place in enumerate(places):
            positions[row, : len(place)] = place
            if len(place):
                negatives[row, : len(place)] = samples[row]["negatives"]
        labels = {"positions": torch.from_numpy(positions), "negatives": torch.from_numpy(negatives)}
        return Batch.of(self.inputs(samples), len(samples), labels={"wav2vec2": labels})


class UnitsProcessor(PretrainingProcessor):
    """Samples have ``mask`` and ``units`` (frames,)."""

    config: UnitsProcessorConfig

    def __init__(self, config: UnitsProcessorConfig, data: DataContext) -> None:
        super().__init__(config, data)
        target = data.fact(UnitsConfig)
        self.num_units = None if target is None else target.num_units
        #: Units of one frame of the model.
        self.step = config.unit_rate * self.stride / config.sampling_rate

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        for chunk in self.rows.chunks(records, report, self._units):
            columns: dict[str, list[Any]] = {"audio": [], "units": []}
            for samples, units, record in chunk:
                needed = int((self.frames(len(samples)) - 1 - _TOLERANCE) * self.step) + 1
                if len(units) < needed:
                    message = f"{len(units)} units for {len(samples) / self.config.sampling_rate:.2f} seconds; "
                    message += f"unit_rate {self.config.unit_rate:g} needs at least {needed}"
                    report(DataError(message, file=record.file, line=record.line))
                    continue
                columns["audio"].append(samples)
                columns["units"].append(units)
            yield columns

    def _units(self, record: Record) -> list[int]:
        """The units of a record.

        Raises:
            DataError: the record has no units, or they are not units of the model.
        """
        value = record.value.get("units")
        if value is None:
            raise missing_field(record, "'units'", "; tp units makes them")
        try:
            given = value.split() if isinstance(value, str) else list(value)
            units = [int(each) for each in given]
            if any(not isinstance(each, str) and each != unit for each, unit in zip(given, units)):
                raise ValueError(f"'units' are integers, got {str(value)[:40]!r}")
            if not units or min(units) < 0:
                raise ValueError(f"'units' are numbers from 0 on, got {str(value)[:40]!r}")
            if self.num_units is not None and max(units) >= self.num_units:
                raise ValueError(f"the unit {max(units)} is not below num_units, {self.num_units}, of the target units")
        except (TypeError, ValueError) as error:
            problem = str(error) if "unit" in str(error) else f"'units' are integers, got {str(value)[:40]!r}"
            raise DataError(problem, file=record.file, line=record.line) from None
        return units

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self._drawn(rows, index, generator, self.config.mixing_prob)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """A sample with masks but without mixing."""
        return self._drawn(rows, index, generator, 0.0)

    def _drawn(self, rows: Rows, index: int, generator: np.random.Generator, mixing: float) -> Sample:
        first, samples = self.piece(self.rows.stored(rows, index), generator)
        units = np.asarray(rows.get("units", index), dtype=np.int64)
        frames = self.frames(len(samples))
        places = ((first + np.arange(frames)) * self.step + 1e-6).astype(np.int64)
        known = np.where(places < len(units), units[np.minimum(places, len(units) - 1)], IGNORE)
        mask = self.mask(len(samples), generator)
        if mixing and generator.random() < mixing:
            samples = self._mixed(samples, rows, generator)
        return {"input_values": self.normalised(samples), "mask": mask, "units": known}

    def _mixed(self, samples: Samples, rows: Rows, generator: np.random.Generator) -> Samples:
        """The recording, mixed with a piece of another recording or of noise (Chen et al., 2022).

        The piece covers at most half of the recording.
        """
        length = int(generator.integers(1, max(2, len(samples) // 2 + 1)))
        if generator.random() < self.config.mixing_noise_prob:
            other: Samples = generator.standard_normal(length, dtype=np.float32)
        else:
            other = self.rows.stored(rows, int(generator.integers(len(rows))))
            start = int(generator.integers(max(1, len(other) - length + 1)))
            other = other[start : start + length]
        place = int(generator.integers(len(samples) - len(other) + 1))
        decibels = generator.uniform(-self.config.mixing_energy, self.config.mixing_energy)
        own, its = np.square(samples).mean(), np.square(other).mean()
        mixed: Samples = samples.copy()
        if its > 0:
            mixed[place : place + len(other)] += np.float32(np.sqrt(own / its * 10 ** (decibels / 10))) * other
        return mixed

    def collate(self, samples: list[Sample]) -> Batch:
        inputs: Inputs = self.inputs(samples)
        shape = len(samples), self.frames(inputs["input_values"].shape[1])
        units, masked = np.full(shape, IGNORE, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
        for row, sample in enumerate(samples):
            if "units" in sample:
                units[row, : len(sample["units"])] = sample["units"]
                masked[row, : len(sample["mask"])] = sample["mask"]
        labels = {"labels": torch.from_numpy(units), "masked": torch.from_numpy(masked)}
        return Batch.of(inputs, len(samples), labels={"units": labels})
