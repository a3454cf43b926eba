"""The image processors.

Encoded pictures are checked and stored at preparation. They are decoded when a sample is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tp_core.data.sources.media import media_bytes, media_name
from tp_core.data.sources.read_in_order import read_in_order
from tp_core.errors import DataError
from tp_core.interfaces import Batch, Inputs, Processor, Record, Report, Rows, Sample
from tp_core.options.context import DataContext
from tp_vision.facts import GridFacts
from tp_vision.processors.decoding import decode
from tp_vision.processors.image_options import LabelledImageConfig
from tp_vision.processors.options import PictureProcessorConfig
from tp_vision.processors.transforms import Pictures, draw_mix, mixed

#: Approximate maximum size, in bytes, of the pictures in a chunk of rows.
_CHUNK = 32 << 20


def place_of(record: Record) -> tuple[str, int | None]:
    """File and line to name in a message; the line is None if the file is the picture itself."""
    value = record.value.get("image")
    whole = isinstance(value, str) and os.path.abspath(value) == os.path.abspath(record.file)
    return (record.file, None) if whole else (record.file, record.line)


def refused(record: Record, message: str) -> DataError:
    """Build the error for a record whose picture cannot be used, with the picture's name if the record has one."""
    file, line = place_of(record)
    name = media_name(record, "image") if line is not None else None
    return DataError(f"the image {message}" if name is None else f"the image '{name}' {message}", file=file, line=line)


class PictureProcessor(Processor):
    """Base of the image processors; reads the field ``image`` of records.

    Rows hold ``image``, the encoded bytes, and ``place``, the file and line of the record. Subclasses add columns with
    :meth:`extra`, and fields of samples with :meth:`complete`.
    """

    def __init__(self, config: PictureProcessorConfig, data: DataContext) -> None:
        self.config, self.data = config, data
        self.size, self.channels = config.size(data.fact(GridFacts)), config.channel_count(data.fact(GridFacts))
        self.pictures = Pictures(config, self.size, self.channels)

    # -- preparing -----------------------------------------------------------------------------------------------

    def read(self, record: Record) -> tuple[bytes, Tensor]:
        """Encoded and decoded picture of a record; the decoded one is (channels, height, width), uint8.

        Raises:
            DataError: the record has no picture, or the picture cannot be decoded or has the wrong size.
        """
        data = media_bytes(record, "image")
        try:
            picture = decode(data, self.channels, self.config.max_pixels)
        except ValueError as error:
            raise refused(record, f"cannot be read: {error}") from None
        if not self.pictures.fits(picture):
            raise refused(record, self._wrong_size(picture))
        return data, picture

    def _wrong_size(self, picture: Tensor) -> str:
        found, expected = (" x ".join(map(str, size)) for size in (picture.shape[-2:], self.size))
        return f"has {found} pixels; expected {expected}; set resize: crop or resize: stretch to scale it"

    def extra(self, record: Record) -> dict[str, Any]:
        """Additional columns of a record's row. Called in several threads.

        Raises:
            DataError: the record lacks a required field.
        """
        return {}

    def _row(self, record: Record) -> dict[str, Any]:
        data, _ = self.read(record)
        file, line = place_of(record)
        place = f"{file}:{line}" if line is not None else file
        return {"image": data, "place": place.encode(), **self.extra(record)}

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        columns: dict[str, list[Any]] = {}
        size = 0
        for row in read_in_order(self._row, records, report):
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
            size += len(row["image"])
            if size >= _CHUNK:
                yield columns
                columns, size = {}, 0
        yield columns

    # -- samples -------------------------------------------------------------------------------------------------

    def decoded(self, rows: Rows, index: int) -> Tensor:
        """The picture of a row, (channels, height, width), uint8."""
        picture = decode(rows.get("image", index), self.channels, self.config.max_pixels)
        if not self.pictures.fits(picture):
            raise DataError(f"the image {self._wrong_size(picture)}", file=bytes(rows.get("place", index)).decode())
        return picture

    def complete(self, sample: Sample, rows: Rows, index: int) -> Sample:
        """Add the fields other than the pixels to a sample."""
        return sample

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        pixels = self.pictures.augmented(self.decoded(rows, index), generator)
        return self.complete({"pixel_values": pixels.numpy()}, rows, index)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        pixels = self.pictures.plain(self.decoded(rows, index))
        return self.complete({"pixel_values": pixels.numpy()}, rows, index)

    @property
    def read_ahead(self) -> int:
        return 256  # pictures have one size, so sorting by length is not needed; all pixels are held in memory

    def encode(self, records: list[Record]) -> list[Sample]:
        return [{"pixel_values": self.pictures.plain(self.read(record)[1]).numpy()} for record in records]

    def pixels(self, samples: list[Sample]) -> Tensor:
        """(batch, channels, height, width) float32."""
        return torch.from_numpy(np.stack([sample["pixel_values"] for sample in samples]))

    def collate(self, samples: list[Sample]) -> Batch:
        return Batch.of({"pixel_values": self.pixels(samples)}, len(samples))


class ImageProcessor(PictureProcessor):
    """Pictures with a label, from the fields ``image`` and ``label``."""

    config: LabelledImageConfig

    def __init__(self, config: LabelledImageConfig, data: DataContext) -> None:
        super().__init__(config, data)
        self.record_labels = config.record_labels(data)

    def extra(self, record: Record) -> dict[str, Any]:
        of_class = ". A picture's label is the name of a folder that holds it, inside the folder that is read"
        hint = of_class if self.record_labels.kind == "cls" else ""
        return self.record_labels.read(record, place_of(record), hint)

    def complete(self, sample: Sample, rows: Rows, index: int) -> Sample:
        return sample | self.record_labels.of_row(rows, index)

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = super().sample(rows, index, generator)
        augment = self.config.augment
        return {**sample, "mix": draw_mix(augment, generator)} if augment.mixes() else sample

    def collate(self, samples: list[Sample]) -> Batch:
        pixels = self.pixels(samples)
        labels = self.record_labels.labels(samples)
        if samples and "mix" in samples[0]:
            (name,) = labels
            shares = self.record_labels.shares(name, labels[name]["labels"])
            numbers = torch.from_numpy(np.stack([sample["mix"] for sample in samples]))
            pixels, mixture = mixed(pixels, shares, numbers)
            labels[name] = {"labels": mixture}  # a mixed picture has no single class
        source: Inputs = {"pixel_values": pixels}
        return Batch.of(source, len(samples), labels=labels)

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.record_labels.named(predictions)
