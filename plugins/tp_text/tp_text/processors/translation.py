"""Translation samples: a source text and a target text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from tp_core.data.fields import missing_field, text_field
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.parallel import ParallelLines
from tp_text.processors.reading import CHUNK
from tp_text.processors.seq2seq import EncoderDecoderProcessor
from tp_text.processors.translation_options import TranslationProcessorConfig
from tp_text.scoring.written import REFERENCE, ComparesTexts


class TranslationProcessor(ComparesTexts, EncoderDecoderProcessor):
    """Reads ``source`` and ``target`` (or ``text_a`` and ``text_b``), or two parallel plain text files."""

    def __init__(self, config: TranslationProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.text_metrics, self.prefix = config, config.prefix
        self.extensions = (config.source_extension, config.target_extension)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        pairs = self._pairs(records, report)
        while chunk := list(islice(pairs, CHUNK)):
            sources = self.tokenizer.encode_batch([self.prefix + source for source, _ in chunk])
            targets = self.target_tokenizer.encode_batch([target for _, target in chunk])
            columns: dict[str, list[Any]] = {
                "source": [ids[: self.source_room] for ids in sources],
                "target": [ids[: self.target_room] for ids in targets],
            }
            if self.has_metrics:
                columns[REFERENCE] = [target.encode() for _, target in chunk]
            yield columns

    def _pairs(self, records: Iterable[Record], report: Report) -> Iterator[tuple[str, str]]:
        source_extension, target_extension = self.extensions
        if source_extension is not None and target_extension is not None:
            records = ParallelLines(source_extension, target_extension, report).paired(records)
        for record in records:
            try:
                pair = pair_of(record)
            except DataError as error:
                report(error)
                continue
            if pair is not None:
                yield pair

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        source, target = rows.get("source", index), rows.get("target", index)
        return {"input_ids": self.framed(source), "target_ids": self.ended(target)}

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {**self.sample(rows, index, generator), **self.reference(rows, index)}

    def question(self, sample: Sample) -> Sample:
        return {"input_ids": sample["input_ids"]}

    def longest_text(self) -> int:
        return self.target_max_length

    def _inference_ids(self, texts: list[str]) -> list[list[int]]:
        return super()._inference_ids([self.prefix + text for text in texts])


def pair_of(record: Record) -> tuple[str, str] | None:
    """Source and target of a record; None if both are blank.

    Raises:
        DataError: a side is missing or blank.
    """
    source, target = text_field(record, "source", "text_a"), text_field(record, "target", "text_b")
    if source is None:
        if set(record.value) <= {"text"}:
            message = "plain text has no translations; give source_extension and target_extension, or use TSV or JSON"
            raise DataError(message, file=record.file, line=record.line)
        raise missing_field(record, "'source' or 'text_a'")
    if target is None:
        raise missing_field(record, "'target' or 'text_b'")
    blank = [name for name, text in (("source", source), ("target", target)) if not text.strip()]
    if len(blank) == 1:
        raise DataError(f"the {blank[0]} is empty", file=record.file, line=record.line)
    return None if blank else (source, target)
