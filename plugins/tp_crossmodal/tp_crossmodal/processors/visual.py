"""Reading of the visual part of records: pictures, or features of their regions."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.sampling.items import item_id
from tp_core.data.sources.media import media_bytes
from tp_core.errors import DataError
from tp_core.interfaces import Inputs, Record, Rows, Sample
from tp_core.options.context import DataContext
from tp_vision.processors.image import PictureProcessor, place_of

if TYPE_CHECKING:
    from tp_crossmodal.processors.image_text_options import ImageTextProcessorConfig, RegionTextProcessorConfig

Floats = NDArray[np.float32]


class Visual(ABC):
    """Base of readers of the visual part of records, which becomes a part of samples and batches."""

    #: The field of records with the visual part.
    field: str
    #: The columns of rows with its content; other columns name its source.
    content: tuple[str, ...]

    def item(self, columns: dict[str, Any]) -> int:
        """Identity of the visual part of a row; equal files or equal features have the same identity."""
        return item_id(*(columns[name] for name in self.content))

    @abstractmethod
    def columns(self, record: Record) -> dict[str, Any]:
        """Columns of a row, from the visual part of a record.

        Raises:
            DataError: the visual part is missing or cannot be used.
        """

    @abstractmethod
    def sample(self, rows: Rows, index: int, generator: np.random.Generator | None) -> Sample:
        """Visual part of a sample, with random changes if there is a generator."""

    @abstractmethod
    def encode(self, record: Record) -> Sample:
        """Visual part of a sample for inference."""

    @abstractmethod
    def inputs(self, samples: list[Sample]) -> Inputs:
        """Collate the visual parts of samples."""


class Pixels(Visual):
    """Encoded pictures, decoded when a sample is read."""

    field = "image"
    content = ("image",)

    def __init__(self, config: ImageTextProcessorConfig, data: DataContext) -> None:
        self.inner = PictureProcessor(config, data)

    def columns(self, record: Record) -> dict[str, Any]:
        encoded, _ = self.inner.read(record)
        file, line = place_of(record)
        return {"image": encoded, "place": (file if line is None else f"{file}:{line}").encode()}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator | None) -> Sample:
        picture, pictures = self.inner.decoded(rows, index), self.inner.pictures
        pixels = pictures.plain(picture) if generator is None else pictures.augmented(picture, generator)
        return {"pixel_values": pixels.numpy()}

    def encode(self, record: Record) -> Sample:
        return self.inner.encode([record])[0]

    def inputs(self, samples: list[Sample]) -> Inputs:
        return {"pixel_values": self.inner.pixels(samples)}


class Regions(Visual):
    """Features of regions from an object detector, in the field ``regions``.

    The field is a list of lists of numbers, or a ``.npy`` file (its path or its bytes), of shape (regions, size). The
    field ``boxes`` has the same form. It contains left, top, right, bottom and area of each region, relative to the
    size of the picture.
    """

    field = "regions"

    def __init__(self, config: RegionTextProcessorConfig, data: DataContext) -> None:
        self.size, self.limit = config.region_size, config.max_regions
        self.widths = {"regions": self.size, **({"boxes": 5} if config.boxes else {})}
        self.content = tuple(self.widths)

    def columns(self, record: Record) -> dict[str, Any]:
        found = {name: self._read(record, name, width) for name, width in self.widths.items()}
        counts = {name: len(values) for name, values in found.items()}
        if len(set(counts.values())) > 1:
            message = f"{counts['regions']} regions and {counts['boxes']} boxes; expected a box for each region"
            raise DataError(message, file=record.file, line=record.line)
        return {name: values[: self.limit] for name, values in found.items()}

    def _read(self, record: Record, name: str, width: int) -> Floats:
        value = record.value.get(name)
        try:
            if isinstance(value, (str, bytes, bytearray, memoryview, dict)) or value is None:
                found = np.load(io.BytesIO(media_bytes(record, name)), allow_pickle=False)
            else:
                found = np.asarray(value)
            found = found.astype(np.float32)
        except (ValueError, TypeError, OSError, EOFError) as error:
            message = f"'{name}' cannot be read: {str(error).partition(chr(10))[0]}"
            raise DataError(message, file=record.file, line=record.line) from None
        if found.ndim != 2 or found.shape[1] != width or not len(found):
            shape = " x ".join(map(str, found.shape)) or "one number"
            message = f"'{name}' has the shape {shape}; expected regions x {width}"
            raise DataError(message, file=record.file, line=record.line)
        if not np.isfinite(found).all():
            raise DataError(f"'{name}' has values that are not finite numbers", file=record.file, line=record.line)
        return np.ascontiguousarray(found)

    def sample(self, rows: Rows, index: int, generator: np.random.Generator | None) -> Sample:
        return {name: rows.get(name, index) for name in self.widths}

    def encode(self, record: Record) -> Sample:
        return self.columns(record)

    def inputs(self, samples: list[Sample]) -> Inputs:
        """Collate regions, with padding to the largest number of regions in the batch."""
        counts = torch.tensor([len(sample["regions"]) for sample in samples])
        names = {"regions": "visual_embeds", "boxes": "visual_boxes"}
        found: Inputs = {"visual_attention_mask": torch.arange(int(counts.max())) < counts.unsqueeze(1)}
        for name, width in self.widths.items():
            whole = torch.zeros(len(samples), int(counts.max()), width)
            for row, sample in zip(whole, samples):
                row[: len(sample[name])] = torch.from_numpy(np.array(sample[name]))
            found[names[name]] = whole
        return found
