"""Processor of pictures and texts as one input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from tp_core.data.fields import missing_field, text_field
from tp_core.data.padding import Ids
from tp_core.data.sampling.items import item_id
from tp_core.data.sources.read_in_order import read_in_order
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, Batch, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.interfaces.framing import BARE, Frame, role_frame
from tp_core.options.base import imported
from tp_core.options.context import DataContext
from tp_crossmodal.processors.mismatches import Mismatches
from tp_crossmodal.processors.options import CaptionOptions
from tp_crossmodal.processors.visual import Visual
from tp_text.processors.classification import ClassificationProcessor
from tp_text.processors.masking import Masking

#: Maximum number of rows that are written together; their pictures are in memory.
_CHUNK = 256


class ImageTextProcessor(ClassificationProcessor):
    """Reads a text (the field ``text``) and a picture, or its regions, of each record.

    The model's targets decide for which tasks samples are made:

    - ``itm``: half of the texts get another picture, which does not occur together with an equal text in any record.
      Labels ``itm``: ``labels`` (batch,), 1 if text and picture belong together. A text that belongs to every picture
      keeps its own picture.
    - ``mlm``: tokens of the text are masked. Labels ``mlm`` are those of the text processors.
    - With both, each sample is randomly assigned to one of them, because masked words would show that the picture is
      the text's own, and would make matching harder. The label of the other task is ``IGNORE``.
    - ``cls``: the records' classes (the field ``label``), for texts with their own pictures.

    All random choices depend only on the seed, the epoch and the sample.

    Pictures are equal if their files or the features of their regions are. Texts are equal if their token ids are.
    """

    #: Number of records that are encoded together at inference; their pictures are all in memory.
    read_ahead = 256

    def __init__(self, config: CaptionOptions, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.visual: Visual = imported(config.visual)(config, data)
        self.matching, self.labelled = config.task("itm", data), config.task("cls", data)
        self.masking: Masking | None = None
        if config.task("mlm", data):
            if self.mask is None:
                raise TPError("data.processor: the target mlm needs a vocabulary with a mask token")
            self.masking = Masking(config, tokenizer, config.max_length)
        self.room = self.max_length - self.special_count(pair=False)
        self._mismatches: dict[int, tuple[Rows, Mismatches]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mismatches": {}}  # another process has its own rows

    @staticmethod
    def frames_of(tokenizer: Tokenizer) -> tuple[Frame, Frame]:
        """Frames of the tokenizer, or else ``[CLS]`` and ``[SEP]``, replaced by ``bos`` and ``eos`` if missing."""
        special = tokenizer.special
        if tokenizer.frame() is not None or "cls" in special or "sep" in special:
            return ClassificationProcessor.frames_of(tokenizer)
        named = {"cls": special.get("bos"), "sep": special.get("eos")}
        known = {role: index for role, index in named.items() if index is not None}
        return role_frame(known, pair=False) or BARE[0], role_frame(known, pair=True) or BARE[1]

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        last, first = "", dict[str, int]()
        same = {"text_item": "text", "visual_item": self.visual.field}
        for file, chunk in self._chunks(records, report):
            last, first = file, first or {name: chunk[name][0] for name in same}
            same = {name: what for name, what in same.items() if all(each == first[name] for each in chunk[name])}
            yield chunk
        if self.matching and first and same:
            what = " and the same ".join(same.values())
            message = f"image-text matching needs different texts and pictures, but all records have the same {what}"
            raise DataError(message, file=last)

    def _chunks(self, records: Iterable[Record], report: Report) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        """Yield the file of the last record of each chunk, and the columns of the chunk."""
        file, texts, columns = "", list[str](), dict[str, list[Any]]()
        for file, text, row in read_in_order(self._read, records, report):
            texts.append(text)
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
            if len(texts) == _CHUNK:
                yield file, self._texts(texts) | columns
                texts, columns = [], {}
        if texts:
            yield file, self._texts(texts) | columns

    def _texts(self, texts: list[str]) -> dict[str, list[Any]]:
        """Columns of the texts."""
        rows: list[Ids] = [np.array(ids[: self.room], np.int32) for ids in self.tokenizer.encode_batch(texts)]
        return {"text": rows, "text_item": [item_id(ids) for ids in rows]}

    def _read(self, record: Record) -> tuple[str, str, dict[str, Any]]:
        text = self._text(record)
        row = self._visual_columns(record)
        row["visual_item"] = self.visual.item(row)
        if self.labelled:
            row |= self.read_labels(record)
        return record.file, text, row

    def _text(self, record: Record) -> str:
        return caption(record, self.visual.field)

    def _visual_columns(self, record: Record) -> dict[str, Any]:
        if record.value.get(self.visual.field) in (None, ""):
            raise missing_field(record, f"'{self.visual.field}' for the text '{shortened(record)}'")
        return self.visual.columns(record)

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self._drawn(rows, index, generator, generator)

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return self._drawn(rows, index, generator, None)

    def _drawn(
        self, rows: Rows, index: int, generator: np.random.Generator, augment: np.random.Generator | None
    ) -> Sample:
        sample = self.assemble(rows.get("text", index))
        matches = self.matching and (self.masking is None or generator.random() < 0.5)
        picture = index
        if matches and generator.random() < 0.5:
            picture = self._other(rows, index, generator)
        if self.matching:
            sample["itm"] = int(picture == index) if matches else IGNORE
        if self.masking is not None:
            sample["mlm_positions"] = sample["mlm_labels"] = np.empty(0, dtype=np.int64)
            if not matches:
                self.masking(sample, generator)
        if self.labelled:
            sample |= self.classes.of_row(rows, index) if picture == index else self.classes.ignored()
        sample["items"] = rows.get("text_item", index), rows.get("visual_item", picture)
        return {**sample, **self.visual.sample(rows, picture, augment), "own": picture == index}

    def _other(self, rows: Rows, index: int, generator: np.random.Generator) -> int:
        """Draw a record whose picture does not belong to the text; ``index`` itself if all pictures belong to it."""
        if id(rows) not in self._mismatches:  # at the first draw of each process
            made = Mismatches(rows.integers("text_item"), rows.integers("visual_item"))
            self._mismatches[id(rows)] = rows, made
        other = self._mismatches[id(rows)][1].draw(index, generator)
        return index if other is None else other

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        batch = super().collate(samples)
        return Batch.of({**batch.inputs, **self.visual.inputs(samples)}, batch.size, labels=batch.labels)

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        found: dict[str, Inputs] = super().labels(samples) if self.labelled else {}
        if self.matching:
            found["itm"] = {"labels": torch.tensor([sample.get("itm", IGNORE) for sample in samples])}
        if self.masking is not None:
            known = "mlm_positions" in samples[0]
            found |= {"mlm": self.masking.labels(samples)} if known else self.mask_labels(samples)
        return found

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        texts = self._inference_ids([self._text(record) for record in records])
        found = []
        for ids, record in zip(texts, records):
            self._visual_columns(record)
            sample = self.assemble(ids[: self.room])
            self._mark_masks(sample)
            found.append({**sample, **self.visual.encode(record)})
        return found

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add tokens for ids and names for classes. Classes of ``itm`` stay 0 and 1."""
        own = [{"itm": each["itm"]} if "itm" in each else {} for each in predictions]
        return [{**told, **kept} for told, kept in zip(super().describe(predictions), own)]


def shortened(record: Record, limit: int = 40) -> str:
    """Beginning of a record's text, for messages."""
    text = str(record.value.get("text", ""))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def caption(record: Record, field: str) -> str:
    """Text of a record.

    Args:
        field: the field that the text describes, for messages.

    Raises:
        DataError: the record has no text.
    """
    text = text_field(record, "text")
    if text is not None and text.strip():
        return text
    named = record.value.get(field)
    what = f"the {field} '{named}'" if isinstance(named, str) else f"the {field}"
    if text is None:
        raise missing_field(record, f"'text' for {what}")
    raise DataError(f"{what} has no text: the field 'text' is empty", file=record.file, line=record.line)
