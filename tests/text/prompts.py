"""Prompts for tests: processors, and batches of them as a target reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tp_core.data.routing import Route
from tp_core.errors import DataError
from tp_core.interfaces import Batch, Record, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.prompt import PromptProcessor
from tp_text.processors.prompt_options import PromptProcessorConfig


def prompts(tokenizer: Tokenizer, template: str, verbalizer: dict[str, Any], **options: Any) -> PromptProcessor:
    config = PromptProcessorConfig(template=template, verbalizer=verbalizer, **options)
    made = config.build(DataContext(), tokenizer)
    assert isinstance(made, PromptProcessor)
    return made


def batch_for(target: str, made: PromptProcessor, records: Iterable[dict[str, Any]]) -> Batch:
    """A batch of records, which have labels or not, for the target of this name."""
    samples = []
    for line, fields in enumerate(records, 1):
        record = Record(fields, "records.jsonl", line)
        samples += [{**sample, **_labels(made, record)} for sample in made.encode([record])]
    return Route({target: ("cls", "prompt")})(made.collate(samples))


def _labels(made: PromptProcessor, record: Record) -> dict[str, int]:
    try:
        return made.classes.read(record)
    except DataError:
        return {}


def sequences(batch: Batch) -> list[list[list[int]]]:
    """The ids of each sample's sequences without padding."""
    assert batch.sequences is not None
    ids, inputs = batch.inputs["input_ids"], batch.inputs
    lengths = [ids.shape[1]] * len(ids)
    if "attention_mask" in inputs:
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
    elif "lengths" in inputs:
        lengths = inputs["lengths"].tolist()
    rows = [row[:length].tolist() for row, length in zip(ids, lengths)]
    return [[rows[number] for number in own if number >= 0] for own in batch.sequences.tolist()]
