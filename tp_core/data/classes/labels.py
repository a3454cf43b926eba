"""Class labels of records and names of predicted classes, shared by the processors for classification."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.classes.names import NamedClass, as_compared
from tp_core.data.classes.options import ClassLabelOptions, label_column, probability_column
from tp_core.data.classes.teacher import TeacherProbabilities
from tp_core.data.fields import missing_field
from tp_core.data.sources.columns import listed
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, Inputs, Record, Rows, Sample
from tp_core.options.context import DataContext
from tp_core.suggest import did_you_mean

#: An integer in a table. Programs whose integer columns cannot have missing values write 1.0.
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)(?:\.0*)?\s*")

#: Maximum number of different unknown labels for which the nearest known label is searched.
_ASKED = 100


class RecordClasses:
    """The class labels of records, for processors. Rows and samples have a column for each label.

    Either all targets that ask for ``cls`` share the field ``label``, or each target has its own column
    (``data.labels``).

    With probabilities of a teacher (``ClassLabelOptions.probabilities``, ``logits``), there is a second column for each
    label, with the probabilities (classes,) float32 that are the label of the loss: those of the teacher, mixed with
    the class by ``soft_weight``. The cell of a record without a teacher's probabilities is empty. The class of a record
    that has none is the most probable one, so that each row has a class for metrics and counts.

    Args:
        option: the spec option that lists the names, for messages.

    Raises:
        TPError: there is a field of a teacher, but the number of classes is unknown.
    """

    def __init__(self, config: ClassLabelOptions, data: DataContext, option: str) -> None:
        #: Label readers by target; the empty name means all targets.
        self.each = {
            target: ClassLabels(config.names(target), config.classes(data, target), option, field)
            for target, field in (data.labels or {"": "label"}).items()
        }
        self._soft_weight = config.soft_weight
        self._teachers: dict[str, TeacherProbabilities] = {}
        for target, labels in self.each.items():
            if (field := config.teacher_field(target)) is not None:
                if labels.count is None:  # a check of the spec reports it
                    raise TPError(f"'{field.name}' cannot be read, because the number of classes is unknown")
                self._teachers[target] = TeacherProbabilities(field, labels.names, labels.count, config.temperature)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of rows and samples."""
        return (*map(label_column, self.each), *map(probability_column, self._teachers))

    @property
    def count(self) -> int | None:
        """Number of classes of the first label; None if unknown."""
        return next(iter(self.each.values())).count

    def read(self, record: Record, place: tuple[str, int | None] | None = None, hint: str = "") -> dict[str, Any]:
        """The labels of a record, by column (see :meth:`ClassLabels.read`).

        Raises:
            DataError: a label is missing, or is not a class, or probabilities are not those of the classes.
        """
        found: dict[str, Any] = {}
        for target, labels in self.each.items():
            soft = self._probabilities(target, record, place)
            if soft is not None and record.value.get(labels.field) in (None, ""):
                label = int(soft.argmax())
            else:
                label = labels.read(record, place, hint)
                if soft is not None:
                    soft *= self._soft_weight
                    soft[label] += 1 - self._soft_weight
            found[label_column(target)] = label
            if target in self._teachers:
                found[probability_column(target)] = np.zeros(0, np.float32) if soft is None else soft.astype(np.float32)
        return found

    def _probabilities(
        self, target: str, record: Record, place: tuple[str, int | None] | None
    ) -> NDArray[np.float64] | None:
        teacher = self._teachers.get(target)
        if teacher is None:
            return None
        try:
            return teacher.read(record.value.get(teacher.field.name))
        except ValueError as error:
            file, line = (record.file, record.line) if place is None else place
            raise DataError(str(error), file=file, line=line) from None

    def of_row(self, rows: Rows, index: int) -> dict[str, Any]:
        """The labels of a row, by column."""
        return {column: rows.get(column, index) for column in self.columns}

    def ignored(self) -> dict[str, Any]:
        """The columns of a sample without a label in training, such as a text with another picture."""
        found: dict[str, Any] = {label_column(target): IGNORE for target in self.each}
        return found | {probability_column(target): np.zeros(0, np.float32) for target in self._teachers}

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        """The labels of a batch, as :class:`tp_core.modules.targets.class_loss.ClassLoss` reads them.

        ``labels`` is (batch,), ``IGNORE`` for a sample without a label. With probabilities of a teacher, it is (batch,
        classes), and ``classes`` (batch,) has the class numbers.
        """
        return {target or "cls": self._batch(target, samples) for target in self.each}

    def _batch(self, target: str, samples: list[Sample]) -> Inputs:
        column = label_column(target)
        classes = torch.tensor([int(sample.get(column, IGNORE)) for sample in samples])
        teacher, soft = self._teachers.get(target), probability_column(target)
        if teacher is None or not all(soft in sample for sample in samples):
            return {"labels": classes}
        probabilities = torch.nn.functional.one_hot(classes.clamp(min=0), teacher.count).float()
        for row, sample in enumerate(samples):
            if len(sample[soft]):
                probabilities[row] = torch.tensor(sample[soft])
        return {"labels": probabilities, "classes": classes}

    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with class names instead of numbers, for classes that have names."""
        if "" in self.each:
            return self.each[""].named(predictions)
        return [self._named(each) for each in predictions]

    def _named(self, prediction: dict[str, Any]) -> dict[str, Any]:
        own = {name: self.each[name].named([inner])[0] for name, inner in prediction.items() if name in self.each}
        # If there is only one target, a prediction does not contain the target's name.
        return prediction | own if own or len(self.each) > 1 else next(iter(self.each.values())).named([prediction])[0]


class ClassLabels:
    """Reads the field of records that holds their classes, and converts predicted numbers to class names.

    Args:
        names: names of the classes, in order; or a mapping from the integers that records have to names, in order; None
            if labels are integers from 0.
        count: number of classes; None if unknown.
        option: the spec option that lists the names, for messages.
        field: name of the field.
    """

    def __init__(
        self,
        names: Sequence[str] | Mapping[int, str] | None,
        count: int | None,
        option: str,
        field: str = "label",
    ) -> None:
        self.count, self.option, self.field = count, option, field
        self._integers: dict[int, int] | None = None
        if isinstance(names, Mapping):
            self._integers = {integer: number for number, integer in enumerate(names)}
            names = list(names.values())
        self.names = names
        self._numbers = {as_compared(name): number for number, name in enumerate(names or ())}
        self._near: dict[str, str] = {}

    def read(self, record: Record, place: tuple[str, int | None] | None = None, hint: str = "") -> int:
        """The number of a record's class.

        If classes have names, a label is a name (compared as Unicode NFC) or the integer of a name. A label of a data
        set with class names has both.

        Args:
            place: file and line for messages; the record's own if None.
            hint: advice where to get labels, for the message about a missing label.

        Raises:
            DataError: the label is missing, or is not a class.
        """
        file, line = (record.file, record.line) if place is None else place
        value = record.value.get(self.field)
        if value is None:
            raise missing_field(record, f"'{self.field}'", hint, place)
        try:
            return self._plain(value) if self.names is None else self._named(value, self.names)
        except ValueError as error:
            raise DataError(str(error), file=file, line=line) from None

    def _named(self, value: Any, names: Sequence[str]) -> int:
        written = as_compared(value.name if isinstance(value, NamedClass) else str(value))
        number = self._numbers.get(written)
        if number is not None:
            return number
        integer = _integer(value)
        if str(integer) in self._numbers:  # a class may have an integer as its name; a table may write 1.0 for it
            return self._numbers[str(integer)]
        if self._integers is not None:
            if integer in self._integers:
                return self._integers[integer]
            known = listed([f"{integer} ({name})" for integer, name in zip(self._integers, names)])
            near = "" if integer is not None else self._nearest(written, names)
            raise ValueError(f"unknown label {_shown(value)}; {near or f'the labels are {known}'}")
        if integer is not None and not isinstance(value, NamedClass):
            hint = f"; {{{integer}: NAME, ...}} in {self.option} names integers"
            raise ValueError(f"unknown label {_shown(value)}; the labels are {listed(names)}{hint}")
        near = self._nearest(written, names) or f"the labels are {listed(names)}"
        raise ValueError(f"unknown label '{written}'; {near}")

    def _nearest(self, written: str, names: Sequence[str]) -> str:
        """``did you mean '…'?``, or an empty text. The search is slow, so it is made only for some unknown labels."""
        if written not in self._near:
            if len(self._near) >= _ASKED:
                return ""
            self._near[written] = did_you_mean(written, names)
        return self._near[written]

    def _plain(self, value: Any) -> int:
        expected = "an integer from 0" + ("" if self.count is None else f" to {self.count - 1}")
        number = _integer(value)
        if number is None:
            raise ValueError(
                f"the label {_shown(value)} is no integer; expected {expected}, or list the names in {self.option}"
            )
        if number < 0 or (self.count is not None and number >= self.count):
            raise ValueError(f"the label {number} is out of range; expected {expected}")
        return number

    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with the classes' names, if they have any."""
        return predictions if self.names is None else [_named(each, self.names) for each in predictions]


def _integer(value: Any) -> int | None:
    """The integer that a label is, or that its text denotes; None for other labels and for true and false."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, (Real, Decimal)):
        return int(float(value)) if float(value).is_integer() else None
    found = _INTEGER.fullmatch(value) if isinstance(value, str) and len(value) < 30 else None
    return None if found is None else int(found[1])


def _shown(value: Any) -> str:
    text = str(value)
    return f"'{text if len(text) <= 60 else text[:57] + '...'}'"


def _named(prediction: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A prediction with names instead of numbers for the label and the classes of the probabilities.

    If several targets predict, this applies to each prediction whose number of classes equals the number of names.
    """
    if "label" in prediction and len(prediction.get("probabilities", ())) == len(names):
        probabilities = dict(zip(names, prediction["probabilities"]))
        return {**prediction, "label": names[prediction["label"]], "probabilities": probabilities}
    return {key: _named(inner, names) if isinstance(inner, dict) else inner for key, inner in prediction.items()}
