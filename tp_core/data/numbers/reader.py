"""Numbers of records as labels, shared by the processors for regression."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_core.data.classes.labels import shown
from tp_core.data.fields import missing_field
from tp_core.data.labels import LabelReader, Place, RecordLabels, at_place
from tp_core.interfaces import Record

#: A finite decimal number in a table.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_LARGEST = float(np.finfo(np.float32).max)

#: Advice about labels that are missing.
_ALLOWED = "; allow_missing: true allows records without labels"

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((list, tuple, np.ndarray), "a list"),
    (dict, "a mapping"),
    (bytes, "bytes"),
)

#: Texts that people write for a missing number.
_NONE = frozenset({"n/a", "na", "nan", "null", "none", "nil", "-", "?", "unknown", "missing"})


class Numbers(LabelReader):
    """Reads the numbers of records that a target predicts.

    A number is a number or its text. Several outputs have a list of numbers in one field, or a field each.

    Args:
        fields: the field, or a field for each output.
        count: number of outputs.
        names: names of the outputs, in order; None if they have none.
        allow_missing: True if null, an empty text and a missing field are no label instead of an error.
    """

    def __init__(self, fields: Sequence[str], count: int, names: Sequence[str] | None, allow_missing: bool) -> None:
        super().__init__(fields[0])
        self.fields, self.count, self.names, self.allow_missing = tuple(fields), count, names, allow_missing

    def read(self, record: Record, place: Place | None = None, hint: str = "") -> NDArray[np.float32]:
        """The numbers of a record, (outputs,); NaN for an output without a label.

        Raises:
            DataError: a label is missing and must not be, or is no finite number, or there are too few or too many.
        """
        values = {field: record.value.get(field) for field in self.fields}
        absent = next((field for field, value in values.items() if value is None), None)
        if absent is not None and not self.allow_missing:
            raise missing_field(record, f"'{absent}'", hint or _ALLOWED, place)
        if len(values) == 1:
            return at_place(record, place, lambda: self.cell(values[self.field]))
        return at_place(
            record, place, lambda: self._array([self._number(value, f"'{name}'") for name, value in values.items()])
        )

    def cell(self, value: Any) -> NDArray[np.float32]:
        if isinstance(value, (list, tuple, np.ndarray)):
            values = list(value)
        else:
            values = [value] * (self.count if _is_empty(value) else 1)
        if len(values) != self.count:
            expected = "one number" if self.count == 1 else f"{self.count} numbers"
            several = "" if self.count == 1 else ", as a list or in a field each (option fields)"
            found = "one value" if len(values) == 1 else f"{len(values)} values"
            raise ValueError(f"the label has {found}; expected {expected}{several}")
        return self._array([self._number(each, "the label") for each in values])

    @staticmethod
    def _array(numbers: list[float]) -> NDArray[np.float32]:
        return np.array(numbers, dtype=np.float32)

    def _number(self, value: Any, what: str) -> float:
        """The number that a value is; NaN for an empty one, if that is allowed."""
        if _is_empty(value):
            if self.allow_missing:
                return math.nan
            raise ValueError(f"{what} is empty; expected a number{_ALLOWED}")
        number = _number_of(value, what)
        if not math.isfinite(number):
            raise ValueError(f"{what} is {number}; expected a finite number")
        if abs(number) > _LARGEST:
            raise ValueError(f"{what} is {number:g}, which is larger than float32 can represent")
        return number

    def batch(self, cells: list[Any]) -> Tensor:
        """(batch, outputs) float32; NaN where there is no label."""
        none = np.full(self.count, math.nan, dtype=np.float32)
        return torch.from_numpy(np.stack([none if cell is None else cell for cell in cells]))

    def shares(self, labels: Tensor) -> Tensor:
        return labels

    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return predictions if self.names is None else [_named(each, list(self.names)) for each in predictions]


class RecordNumbers(RecordLabels[Numbers]):
    """The numbers of records, one or several for each label."""

    kind: ClassVar[str] = "regression"


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _number_of(value: Any, what: str) -> float:
    """The number that a label is, or that its text denotes.

    Args:
        what: the label, for messages.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what} is {str(value).lower()}; expected a number")
    if isinstance(value, (Real, Decimal)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if not isinstance(value, str):
        kind = next((words for each, words in _KINDS if isinstance(value, each)), type(value).__name__)
        raise ValueError(f"{what} is {kind}; expected a number")
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    hint = ""
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        hint = " that is finite"
    elif text.lower() in _NONE:
        hint = "; if there is none, leave the field empty and set allow_missing: true"
    elif _NUMBER.fullmatch(text.replace(",", ".", 1)):
        hint = "; decimals are written with a point"
    raise ValueError(f"{what} is {shown(text)}; expected a number{hint}")


def _named(prediction: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """A prediction with its values by name.

    If several targets predict, this applies to each prediction whose number of values equals the number of names.
    """
    values = prediction.get("values")
    if isinstance(values, list) and len(values) == len(names):
        return {**prediction, "values": dict(zip(names, values))}
    return {key: _named(inner, names) if isinstance(inner, dict) else inner for key, inner in prediction.items()}
