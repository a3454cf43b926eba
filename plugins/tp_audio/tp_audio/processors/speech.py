"""Base classes of processors that turn speech into filter banks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from tp_audio.audio.augment import Masks, at_speed
from tp_audio.audio.decoding import Samples
from tp_audio.audio.features import Frames, filter_banks, normalised
from tp_audio.processors.recorded import RecordedRows
from tp_audio.processors.speech_options import SpeechProcessorConfig
from tp_audio.processors.transcribed import TranscribedRows
from tp_core.interfaces import Inputs, Processor, Record, Report, Rows, Sample, Tokenizer


class SpeechProcessor(Processor):
    """Samples are ``input_features`` (frames, bins) and, except for inference, the columns ``wanted``."""

    #: The columns of rows with labels, in addition to ``audio``.
    wanted: tuple[str, ...]
    rows: RecordedRows

    def __init__(self, config: SpeechProcessorConfig) -> None:
        self.config = config
        self.masks = Masks(
            config.time_masks,
            config.time_mask_width,
            config.time_mask_fraction,
            config.frequency_masks,
            config.frequency_mask_width,
        )

    def features(self, samples: Samples) -> Frames:
        """Normalised filter banks, (frames, bins)."""
        config = self.config
        banks = filter_banks(
            samples,
            config.sampling_rate,
            config.num_mel_bins,
            config.frame_length,
            config.frame_shift,
            config.low_frequency,
            config.high_frequency,
        )
        return normalised(banks, config.normalize)

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        recorded = self.rows.stored(rows, index)
        played = at_speed(recorded, self.config.speeds, generator)
        # At a higher speed, a very short recording may have no frame left.
        features = self.features(played if len(played) >= self.rows.least else recorded)
        return {"input_features": self.masks(features, generator)} | self._wanted(rows, index)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """A sample without augmentation."""
        recorded = self.rows.stored(rows, index)
        return {"input_features": self.features(recorded)} | self._wanted(rows, index)

    def _wanted(self, rows: Rows, index: int) -> Sample:
        return {name: rows.get(name, index) for name in self.wanted}

    @property
    def read_ahead(self) -> int:
        return 256  # samples are large: minutes of speech are megabytes

    def encode(self, records: list[Record]) -> list[Sample]:
        """The filter banks of the recordings in the field ``audio``."""
        return [{"input_features": self.features(self.rows.samples(record))} for record in records]

    # -- batches -----------------------------------------------------------------------------------------------

    def inputs(self, samples: list[Sample]) -> Inputs:
        """``input_features`` (batch, longest, bins), padded on the right with zeros.

        If there is padding, also ``attention_mask`` (batch, longest).
        """
        frames: list[Frames] = [sample["input_features"] for sample in samples]
        lengths = np.array([len(each) for each in frames])
        padded = np.zeros((len(frames), int(lengths.max()), self.config.num_mel_bins), dtype=np.float32)
        for row, each in zip(padded, frames):
            row[: len(each)] = each
        inputs: Inputs = {"input_features": torch.from_numpy(padded)}
        if int(lengths.min()) < padded.shape[1]:
            inputs["attention_mask"] = torch.from_numpy(np.arange(padded.shape[1]) < lengths[:, None]).long()
        return inputs


class TranscribedSpeechProcessor(SpeechProcessor):
    """Reads ``audio`` and ``text``. Samples contain the token ids of the text."""

    wanted = ("text",)

    def __init__(self, config: SpeechProcessorConfig, tokenizer: Tokenizer) -> None:
        super().__init__(config)
        self.tokenizer = tokenizer
        self.rows: TranscribedRows = TranscribedRows(config, tokenizer, config.window())

    def check_text(self, ids: list[int]) -> None:
        """Check a text's ids.

        Raises:
            ValueError: the text cannot be learned.
        """

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        return self.rows.prepare(records, report, self.check_text)

    def remarks(self) -> list[str]:
        return self.rows.remarks()
