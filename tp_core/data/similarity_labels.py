"""Similarities of records as labels, shared by the processors of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tp_core.data.fields import number_field
from tp_core.errors import DataError
from tp_core.interfaces import Inputs, Record, Sample
from tp_core.options.context import DataContext
from tp_core.options.facts import SimilarityFacts

#: The field of records with the similarity.
FIELD = "label"


class SimilarityLabels:
    """Reads the similarity of each record, a number in the field ``label``.

    Args:
        limits: the lowest and the highest label of the data, which become 0 and 1; None to use labels as they are.
        data: facts about the model; its target determines the possible similarities.
    """

    def __init__(self, limits: Sequence[float] | None, data: DataContext) -> None:
        self.limits = None if limits is None else (float(limits[0]), float(limits[1]))
        self._facts = data.fact(SimilarityFacts)
        self._targets = [name for name, target in data.targets.items() if "similarity" in target.labels]
        self._alone = len(data.targets) == 1

    def read(self, record: Record) -> float:
        """The similarity of a record, after scaling.

        Raises:
            DataError: the label is missing, no finite number, or out of range.
        """
        value, why = number_field(record, FIELD), ""
        if self.limits is not None:
            low, high = self.limits
            if low <= value <= high:
                return (value - low) / (high - low)
            why = f"label_range is {low:g} to {high:g}"
        elif self._facts is not None and not self._facts.low <= value <= self._facts.high:
            allowed = f"{self._facts.name} is between {self._facts.low:g} and {self._facts.high:g}"
            why = f"{allowed}; label_range: [LOWEST, HIGHEST] of the processor scales labels"
        if why:
            raise DataError(f"the label {value:g} is out of range: {why}", file=record.file, line=record.line)
        return value

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        """The labels of a batch: ``labels`` (batch,), float32; none for samples without labels."""
        if FIELD not in samples[0]:
            return {}
        wanted = torch.tensor([sample[FIELD] for sample in samples], dtype=torch.float32)
        return {"similarity": {"labels": wanted}}

    def described(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with the similarity in the units of the data, as ``label``."""
        if self.limits is None or not self._targets:
            return predictions
        if self._alone:
            return [self._scaled(each) for each in predictions]
        own = self._targets
        return [each | {name: self._scaled(each[name]) for name in own if name in each} for each in predictions]

    def _scaled(self, prediction: dict[str, Any]) -> dict[str, Any]:
        assert self.limits is not None
        low, high = self.limits
        return prediction | {FIELD: low + prediction["similarity"] * (high - low)}
