"""Pairs of a question and a candidate answer, ranked among the candidates of the same question."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tp_core.data.fields import missing_field, required_text, text_field
from tp_core.data.sampling.items import item_id
from tp_core.errors import DataError
from tp_core.interfaces import Joined, Record, Rows, Sample, Tokenizer
from tp_core.options.context import BuildContext, DataContext
from tp_text.processors.classification import ClassificationProcessor
from tp_text.processors.ranking_options import RankingProcessorConfig


class RankingProcessor(ClassificationProcessor):
    """Reads the fields of ``cls`` for pairs, ``text_a``, ``text_b`` and ``label``, and ``qid``.

    Each pair is a record and a sample, for the target ``cls``. Pairs with the same ``qid`` are the candidates of a
    question, wherever they are in the data. The class of a pair is its relevance, from 0. Candidates are ranked by
    their expected relevance; with two classes, this is the order of the probability of class 1.
    """

    def __init__(self, config: RankingProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.measured = tuple(config.measures(BuildContext()))

    def read_labels(self, record: Record) -> dict[str, int]:
        need_pair(record)
        group_of(record)
        return super().read_labels(record)

    def _columns(self, chunk: list[tuple[Record, dict[str, int]]]) -> dict[str, list[Any]]:
        return {**super()._columns(chunk), "group": [group_of(record) for record, _ in chunk]}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {**super().sample(rows, index, generator), "group": rows.get("group", index)}

    def search_sides(self) -> None:
        """None, because a question and an answer are read together."""

    def encode(self, records: list[Record]) -> list[Sample]:
        for record in records:
            need_pair(record)
        return super().encode(records)

    def carried(self, sample: Sample) -> Sample:
        return {name: sample[name] for name in ("group", "label")}

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, Joined]:
        """All metrics are computed from the same rows: question, score and relevance of each pair."""
        groups = np.array([own[0]["group"] for own in samples], dtype=np.int64)
        relevance = np.array([own[0]["label"] for own in samples], dtype=np.int64)
        rows = Joined((groups, np.array(list(map(score_of, predictions))), relevance))
        return dict.fromkeys(self.measured, rows)


def group_of(record: Record) -> int:
    """The identity of a record's question.

    Raises:
        DataError: the record has no ``qid``.
    """
    name = text_field(record, "qid")
    if name is None:
        hint = "; if the text of the question identifies it: data.columns: {qid: text_a, text_a: text_a}"
        raise missing_field(record, "'qid'", hint)
    if not name.strip():
        raise DataError("'qid' is empty", file=record.file, line=record.line)
    return item_id(name.strip().encode())


def need_pair(record: Record) -> None:
    """Check that a record has both texts.

    Raises:
        DataError: a text is missing or empty.
    """
    for names in (("text_a", "text"), ("text_b",)):
        if not required_text(record, *names).strip():
            raise DataError(f"'{names[0]}' is empty", file=record.file, line=record.line)


def score_of(prediction: dict[str, Any]) -> float:
    """The expected class of a pair as odds, from 0 to infinity.

    Odds keep the order of probabilities that are nearly 1, which are equal in float32.
    """
    if "probabilities" not in prediction:  # several targets predict
        prediction = next(own for own in prediction.values() if isinstance(own, dict) and "probabilities" in own)
    given = prediction["probabilities"]
    probabilities = list(given.values()) if isinstance(given, dict) else given
    last = len(probabilities) - 1
    high = math.fsum(number * probability for number, probability in enumerate(probabilities))
    low = math.fsum((last - number) * probability for number, probability in enumerate(probabilities))
    return high / low if low else (math.inf if high else math.nan)
