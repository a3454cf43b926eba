"""Processor of pictures and texts for two streams."""

from __future__ import annotations

from typing import Any

import torch

from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, Batch, Inputs, Record, Sample, Sides, Tokenizer
from tp_core.options.context import DataContext
from tp_crossmodal.processors.image_text import ImageTextProcessor
from tp_crossmodal.processors.options import StreamOptions
from tp_crossmodal.processors.picture_sides import PictureSides


class ImageTextPairProcessor(ImageTextProcessor):
    """Reads the same records as :class:`ImageTextProcessor`, and feeds texts to one stream and pictures to the other.

    Labels ``clr``: ``labels`` (batch,), 1 for texts with their own picture, else ``IGNORE``; ``items`` (batch, 2), the
    identities of the text and the picture in the order of the streams. At inference, all records may have only a text,
    or only a picture. Then the batch does not have the other stream.
    """

    def __init__(self, config: StreamOptions, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        if len(data.streams) != 2:
            have = ", ".join(data.streams) or "none"
            raise TPError(
                f"data.processor: needs a model with two streams (model.streams), one of them for texts; it has {have}"
            )
        self.text_stream, self.image_stream = config.sides(data.streams)

    def collate(self, samples: list[Sample]) -> Batch:
        source: dict[str, Any] = {}
        labels: dict[str, Inputs] = {}
        if "input_ids" in samples[0]:
            texts = super(ImageTextProcessor, self).collate(samples)
            source[self.text_stream], labels = texts.inputs, texts.labels
        if any(name in samples[0] for name in ("pixel_values", "regions")):
            source[self.image_stream] = self.visual.inputs(samples)
        return Batch({name: source[name] for name in self.data.streams if name in source}, len(samples), labels=labels)

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        own = [1 if sample.get("own", True) else IGNORE for sample in samples]
        counted = {"labels": torch.tensor(own)}
        if "items" in samples[0]:
            items = torch.tensor([sample["items"] for sample in samples])
            counted["items"] = items if self.text_stream == self.data.streams[0] else items.flip(1)
        return {**super().labels(samples), "clr": counted}

    def encode(self, records: list[Record]) -> list[Sample]:
        """Samples with a text and a picture, or with the one that the records have.

        Raises:
            DataError: a record lacks a text or picture that other records have.
        """
        sides = {name: [r.value.get(name) not in (None, "") for r in records] for name in ("text", self.visual.field)}
        if all(sides["text"]) and all(sides[self.visual.field]):
            return super().encode(records)
        for name, have in sides.items():
            if any(have) and not all(have):
                record = records[have.index(False)]
                raise DataError(f"no field '{name}', which other records have", file=record.file, line=record.line)
        if any(sides["text"]):
            return [self.assemble(ids[: self.room]) for ids in self._inference_ids([self._text(r) for r in records])]
        return [self.visual.encode(record) for record in records]

    def search_sides(self) -> Sides:
        return PictureSides(self.visual.field, self.visual.content, self.image_stream, self.text_stream)
