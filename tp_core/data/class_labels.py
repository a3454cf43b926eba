"""Class labels of records, and predicted classes by their names: what processors of classification share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.suggest import did_you_mean


class ClassLabels:
    """Reads the field ``label`` of records, and names what is predicted.

    Args:
        names: of the classes, in order; None where labels are numbers.
        count: of the classes, or None if nothing says.
        option: of the spec, where the names are to be listed; for messages.
    """

    def __init__(self, names: Sequence[str] | None, count: int | None, option: str) -> None:
        self.names, self.count, self.option = names, count, option

    def read(self, record: Record, place: tuple[str, int | None] | None = None, hint: str = "") -> int:
        """The number of a record's class.

        Args:
            place: file and line to name; the record's own if None.
            hint: where labels are to be had from, for a record without one.

        Raises:
            DataError: there is none, or it is no class.
        """
        file, line = (record.file, record.line) if place is None else place
        value = record.value.get("label")
        if value is None:
            fields = ", ".join(record.value)
            raise DataError(f"no field 'label'; the fields are {fields}{hint}", file=file, line=line)
        if self.names is not None:
            if str(value) in self.names:
                return self.names.index(str(value))
            near = did_you_mean(str(value), self.names) or f"the labels are {', '.join(self.names)}"
            raise DataError(f"unknown label '{value}'; {near}", file=file, line=line)
        expected = "an integer from 0" + ("" if self.count is None else f" to {self.count - 1}")
        try:
            number = int(str(value).strip())
        except ValueError:
            message = f"the label '{value}' is no number; expected {expected}, or list the names in {self.option}"
            raise DataError(message, file=file, line=line) from None
        if number < 0 or (self.count is not None and number >= self.count):
            raise DataError(f"the label {number} is out of range; expected {expected}", file=file, line=line)
        return number

    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with the classes' names, if they have any."""
        return predictions if self.names is None else [_named(each, self.names) for each in predictions]


def _named(prediction: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A prediction with names in place of numbers: of the label, and of what each probability is for.

    Where several targets predict, it is done in each prediction of as many classes as there are names.
    """
    if "label" in prediction and len(prediction.get("probabilities", ())) == len(names):
        probabilities = dict(zip(names, prediction["probabilities"]))
        return {**prediction, "label": names[prediction["label"]], "probabilities": probabilities}
    return {key: _named(inner, names) if isinstance(inner, dict) else inner for key, inner in prediction.items()}
