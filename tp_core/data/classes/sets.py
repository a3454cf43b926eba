"""Sets of classes of records, shared by the processors for multi-label classification."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_core.data.classes.labels import ClassLabels, shown
from tp_core.data.labels import LabelReader, RecordLabels
from tp_core.errors import TPError

#: Marks between labels in other data.
_DELIMITERS = (",", ";", "|", "/", " ")


class ClassSets(LabelReader):
    """Reads the field of records that holds any number of classes.

    A label is a list of names or integers, a text of them with a delimiter, or one integer. An empty list and an empty
    text are no class at all.

    Args:
        classes: reads one class.
        delimiter: divides texts.

    Raises:
        TPError: the number of classes is unknown.
    """

    def __init__(self, classes: ClassLabels, delimiter: str) -> None:
        super().__init__(classes.field)
        if classes.count is None:
            raise TPError(f"the number of classes is unknown; list their names in {classes.option}")
        self.classes, self.delimiter, self.count = classes, delimiter, classes.count

    def cell(self, value: Any) -> NDArray[np.int32]:
        """The numbers of the classes, (classes of the sample,), ascending."""
        numbers: dict[int, Any] = {}
        for item in self._items(value):
            try:
                number = self.classes.cell(item)
            except ValueError as error:
                raise ValueError(self._explained(str(error), value)) from None
            if number in numbers:
                same = "" if item == numbers[number] else f" (as {shown(numbers[number])}, too)"
                raise ValueError(f"the label {shown(item)} is listed twice{same}")
            numbers[number] = item
        return np.array(sorted(numbers), dtype=np.int32)

    def _items(self, value: Any) -> list[Any]:
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(self.delimiter)] if value.strip() else []
            if "" in parts:
                raise ValueError(f"there is an empty label between delimiters ('{self.delimiter}') in {shown(value)}")
            return parts
        if isinstance(value, (list, tuple, np.ndarray)):
            return list(value)
        if isinstance(value, (dict, bytes)):
            kind = "a mapping" if isinstance(value, dict) else "bytes"
            raise ValueError(f"expected a list of labels, or a text with '{self.delimiter}' between labels, got {kind}")
        return [value]

    def _explained(self, error: str, value: Any) -> str:
        """The error for an unknown class, with advice for a text that was divided inside a name, or not at all."""
        if not isinstance(value, str):
            return error
        if mark := next((mark for mark in _DELIMITERS if mark in value and self._fits(value, mark)), ""):
            return f"unknown label {shown(value)}; to divide it at '{mark}', set delimiter: '{mark}'"
        if inside := next((name for name in self.classes.names or () if self.delimiter in name), ""):
            return f"{error} (the text is divided at '{self.delimiter}', which '{inside}' contains; see delimiter)"
        return error

    def _fits(self, value: str, delimiter: str) -> bool:
        """True if the delimiter divides a text into known classes."""
        try:
            for part in value.split(delimiter):
                self.classes.cell(part.strip())
        except ValueError:
            return False
        return True

    def batch(self, cells: list[Any]) -> Tensor:
        """(batch, classes) float32: 1 for classes of a sample, else 0; NaN for a sample without a label."""
        found = np.zeros((len(cells), self.count), dtype=np.float32)
        for row, cell in zip(found, cells):
            row[slice(None) if cell is None else cell] = math.nan if cell is None else 1.0
        return torch.from_numpy(found)

    def shares(self, labels: Tensor) -> Tensor:
        return labels

    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = self.classes.names
        return predictions if names is None else [_named(each, list(names)) for each in predictions]


class RecordClassSets(RecordLabels[ClassSets]):
    """The sets of classes of records, one for each label."""

    kind: ClassVar[str] = "multi_label"


def _named(prediction: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """A prediction with names instead of numbers for the labels and the classes of the probabilities.

    If several targets predict, this applies to each prediction whose number of classes equals the number of names.
    """
    if "labels" in prediction and len(prediction.get("probabilities", ())) == len(names):
        probabilities = dict(zip(names, prediction["probabilities"]))
        return {
            **prediction,
            "labels": [names[number] for number in prediction["labels"]],
            "probabilities": probabilities,
        }
    return {key: _named(inner, names) if isinstance(inner, dict) else inner for key, inner in prediction.items()}
