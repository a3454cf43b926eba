"""Preparation of recordings as rows, shared by all audio processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tp_audio.audio.decoding import Samples
from tp_audio.audio.exact import packed, unpacked
from tp_audio.audio.reading import Reading, read_samples
from tp_audio.processors.options import AudioProcessorConfig
from tp_core.data.sources.read_in_order import read_in_order
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report, Rows

#: Number of samples that are written at a time.
_WRITE = 1 << 22


class Recorded(NamedTuple):
    """One recording.

    Attributes:
        samples: packed samples as stored in a row, (samples, bytes per sample).
        more: further values that were read from the record.
        record: the record.
    """

    samples: NDArray[np.uint8]
    more: Any
    record: Record


class RecordedRows:
    """Reads records with ``audio`` and stores their samples without loss in the column ``audio``.

    Args:
        config: options for reading recordings.
        least: minimum number of samples of a recording.
        least_for: reason for this minimum, for messages.
    """

    def __init__(self, config: AudioProcessorConfig, least: int = 1, least_for: str = "one frame") -> None:
        self.reading = Reading(config.sampling_rate, config.resample, config.mix_channels)
        self.least, self.least_for = least, least_for
        self.max_seconds = config.max_seconds
        self.most = None if config.max_seconds is None else int(config.max_seconds * config.sampling_rate)

    def samples(self, record: Record, seconds: float | None = None) -> Samples:
        """The samples of a record's recording.

        Args:
            record: the record.
            seconds: maximum duration.

        Raises:
            DataError: as :func:`read_samples`, or the recording is too short.
        """
        samples = read_samples(record, self.reading, seconds=seconds)
        if len(samples) < self.least:
            message = f"the recording has {len(samples)} samples, but {self.least_for} needs {self.least}"
            raise DataError(message, file=record.file, line=record.line)
        return samples

    def stored(self, rows: Rows, index: int) -> Samples:
        """The samples of a row, bit for bit as :meth:`samples` read them."""
        return unpacked(rows.get("audio", index))

    def chunks(
        self, records: Iterable[Record], report: Report, more: Callable[[Record], Any] | None = None
    ) -> Iterator[list[Recorded]]:
        """Read recordings in chunks, each to be written at once.

        Args:
            records: the records.
            report: called with the error of each record that cannot be used.
            more: reads further values from a record. It raises DataError if the record cannot be used. It is called in
                several threads.
        """

        def read(record: Record) -> Recorded:
            rest = None if more is None else more(record)
            return Recorded(packed(self._not_too_long(record)), rest, record)

        chunk: list[Recorded] = []
        size = 0
        for recorded in read_in_order(read, records, report):
            chunk.append(recorded)
            size += len(recorded.samples)
            if size >= _WRITE:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _not_too_long(self, record: Record) -> Samples:
        samples = self.samples(record, self.max_seconds)
        if self.most is not None and len(samples) > self.most:
            seconds, most = len(samples) / self.reading.rate, self.most / self.reading.rate
            message = f"the recording is {seconds:.1f} seconds long; max_seconds is {most:g}"
            raise DataError(message, file=record.file, line=record.line)
        return samples
