"""Probabilities of classes that a teacher has computed, read from a field of records. Torch-free."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.classes.names import as_compared
from tp_core.data.classes.teacher_field import TeacherField
from tp_core.suggest import did_you_mean

#: Largest difference of a sum of probabilities from 1: that of a few numbers with two digits.
_TOLERANCE = 0.02

#: Between numbers in a text.
_SEPARATORS = re.compile(r"[\s,;|]+")


class TeacherProbabilities:
    """Reads the probabilities of all classes from a field of records.

    The field has a list of numbers in the order of the classes, a mapping from names of classes to numbers (as in the
    output of ``tp predict``), or a text with either of them in JSON or with the numbers in order, between spaces,
    commas, semicolons or bars.

    Args:
        field: the field.
        names: names of the classes, in order; None if they have none. Names in a mapping are then numbers.
        count: number of classes.
        temperature: the probabilities are ``softmax(logits / temperature)``. Logits of probabilities are their
            logarithms.
    """

    def __init__(self, field: TeacherField, names: Sequence[str] | None, count: int, temperature: float = 1.0) -> None:
        self.field, self.count, self.temperature = field, count, temperature
        self._names = [as_compared(name) for name in names] if names is not None else [str(n) for n in range(count)]
        self._numbers = {name: number for number, name in enumerate(self._names)}

    def read(self, value: Any) -> NDArray[np.float64] | None:
        """The probabilities in a field's value, (classes,), with the sum 1; None if the field is empty.

        Raises:
            ValueError: the value has another form, or its numbers are no probabilities of these classes.
        """
        value = self._parsed(value)
        if value is None:
            return None
        numbers = self._of_names(value) if isinstance(value, Mapping) else self._in_order(value)
        if self.field.logits:
            return _softmax(numbers / self.temperature)
        outside = numbers[(numbers < 0) | (numbers > 1)]
        if len(outside):
            hint = "; the option logits reads logits"
            raise ValueError(f"{self._what} {outside[0]:g}; expected probabilities from 0 to 1{hint}")
        total = float(numbers.sum())
        if abs(total - 1) > _TOLERANCE:
            raise ValueError(f"the probabilities in '{self.field.name}' have the sum {total:g}; expected 1")
        if self.temperature != 1:
            numbers = numbers ** (1 / self.temperature)
        found: NDArray[np.float64] = numbers / numbers.sum()
        return found

    @property
    def _what(self) -> str:
        return f"'{self.field.name}' has"

    def _parsed(self, value: Any) -> Any:
        """A value as a list or a mapping; None if it is empty."""
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if not isinstance(value, str):
            return value
        text = value.strip()
        if not text:
            return None
        if text[0] in "[{":
            try:
                return json.loads(text)
            except ValueError as error:
                raise ValueError(f"{self._what} a text that looks like JSON and is not: {error}") from None
        return _SEPARATORS.split(text)

    def _in_order(self, value: Any) -> NDArray[np.float64]:
        if not isinstance(value, Sequence) or isinstance(value, (bytes, bytearray)):
            expected = "a list of numbers, or numbers by the names of the classes"
            raise ValueError(f"{self._what} a value of the type {type(value).__name__}; expected {expected}")
        if len(value) != self.count:
            expected = f"expected {self.count}, one for each class in order"
            raise ValueError(f"{self._what} {_counted(len(value))}; {expected}")
        return np.array([self._number(each) for each in value])

    def _of_names(self, value: Mapping[Any, Any]) -> NDArray[np.float64]:
        found: dict[int, float] = {}
        for name, each in value.items():
            number = self._numbers.get(as_compared(str(name)))
            if number is None:
                near = did_you_mean(str(name), self._names) or f"the classes are {_listed(self._names)}"
                raise ValueError(f"{self._what} the unknown class '{name}'; {near}")
            if number in found:
                raise ValueError(f"{self._what} the class '{name}' twice")
            found[number] = self._number(each)
        missing = [name for name, number in self._numbers.items() if number not in found]
        if missing:
            raise ValueError(f"{self._what} no number for {_listed(missing)}; expected one for each class")
        return np.array([found[number] for number in range(self.count)])

    def _number(self, value: Any) -> float:
        if isinstance(value, (Real, Decimal, str)) and not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                number = float("nan")
            if np.isfinite(number):
                return number
        raise ValueError(f"{self._what} '{value!s:.40}'; expected a finite number for each class")


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max())
    found: NDArray[np.float64] = powers / powers.sum()
    return found


def _counted(count: int) -> str:
    return "one number" if count == 1 else f"{count} numbers"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
