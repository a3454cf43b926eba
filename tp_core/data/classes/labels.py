"""Class labels of records and names of predicted classes, shared by the processors for classification."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tp_core.data.classes.names import NamedClass, as_compared
from tp_core.data.classes.teacher import TeacherProbabilities
from tp_core.data.classes.teacher_field import TeacherField
from tp_core.data.label_columns import label_column, probability_column
from tp_core.data.labels import LabelReader, Place, RecordLabels, at_place
from tp_core.data.sources.columns import listed
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Inputs, Record, Sample
from tp_core.suggest import did_you_mean

#: An integer in a table. Programs whose integer columns cannot have missing values write 1.0.
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)(?:\.0*)?\s*")

#: Maximum number of different unknown labels for which the nearest known label is searched.
_ASKED = 100


class ClassLabels(LabelReader):
    """Reads the field of records that holds their classes, and converts predicted numbers to class names.

    If classes have names, a label is a name (compared as Unicode NFC) or the integer of a name. A label of a data set
    with class names has both.

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
        super().__init__(field)
        self.count, self.option = count, option
        self._integers: dict[int, int] | None = None
        if isinstance(names, Mapping):
            self._integers = {integer: number for number, integer in enumerate(names)}
            names = list(names.values())
        self.names = names
        self._numbers = {as_compared(name): number for number, name in enumerate(names or ())}
        self._near: dict[str, str] = {}

    def cell(self, value: Any) -> int:
        """The number of the class that a value is."""
        return self._plain(value) if self.names is None else self._named(value, self.names)

    def batch(self, cells: list[Any]) -> Tensor:
        """Class numbers (batch,), int64; ``IGNORE`` for a sample without a label."""
        return torch.tensor([IGNORE if cell is None else int(cell) for cell in cells])

    def shares(self, labels: Tensor) -> Tensor:
        assert self.count is not None
        return F.one_hot(labels, self.count).float()

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
            raise ValueError(f"unknown label {shown(value)}; {near or f'the labels are {known}'}")
        if integer is not None and not isinstance(value, NamedClass):
            hint = f"; {{{integer}: NAME, ...}} in {self.option} names integers"
            raise ValueError(f"unknown label {shown(value)}; the labels are {listed(names)}{hint}")
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
                f"the label {shown(value)} is no integer; expected {expected}, or list the names in {self.option}"
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


def shown(value: Any) -> str:
    """A label in quotes, for messages."""
    text = str(value)
    return f"'{text if len(text) <= 60 else text[:57] + '...'}'"


class RecordClasses(RecordLabels[ClassLabels]):
    """The classes of records, one for each label.

    With probabilities of a teacher (``ClassLabelOptions.probabilities``, ``logits``), there is a second column for each
    label, with the probabilities (classes,) float32 that are the label of the loss: those of the teacher, mixed with
    the class by ``soft_weight``. The cell of a record without a teacher's probabilities is empty. The class of a record
    that has none is the most probable one, so that each row has a class for metrics and counts.

    Args:
        each: label readers by target; the empty name means all targets.
        teachers: fields with a teacher's probabilities or logits, by target.
        temperature: temperature of the teacher's probabilities.
        soft_weight: weight of the teacher's probabilities.

    Raises:
        TPError: there is a field of a teacher, but the number of classes is unknown.
    """

    kind: ClassVar[str] = "cls"

    def __init__(
        self,
        each: Mapping[str, ClassLabels],
        teachers: Mapping[str, TeacherField] = MappingProxyType({}),
        temperature: float = 1.0,
        soft_weight: float = 1.0,
    ) -> None:
        super().__init__(each)
        self._soft_weight = soft_weight
        self._teachers: dict[str, TeacherProbabilities] = {}
        for target, field in teachers.items():
            labels = self.each[target]
            if labels.count is None:  # a check of the spec reports it
                raise TPError(f"'{field.name}' cannot be read, because the number of classes is unknown")
            self._teachers[target] = TeacherProbabilities(field, labels.names, labels.count, temperature)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*super().columns, *map(probability_column, self._teachers))

    def read(self, record: Record, place: Place | None = None, hint: str = "") -> dict[str, Any]:
        """The labels of a record, by column (see :meth:`LabelReader.read`).

        Raises:
            DataError: a label is missing, or is not a class, or probabilities are not those of the classes.
        """
        found: dict[str, Any] = {}
        for target, labels in self.each.items():
            teacher = self._teachers.get(target)
            soft = None if teacher is None else self._probabilities(teacher, record, place)
            if soft is not None and record.value.get(labels.field) in (None, ""):
                label = int(soft.argmax())
            else:
                label = labels.read(record, place, hint)
                if soft is not None:
                    soft *= self._soft_weight
                    soft[label] += 1 - self._soft_weight
            found[label_column(target)] = label
            if teacher is not None:
                found[probability_column(target)] = np.zeros(0, np.float32) if soft is None else soft.astype(np.float32)
        return found

    @staticmethod
    def _probabilities(
        teacher: TeacherProbabilities, record: Record, place: Place | None
    ) -> NDArray[np.float64] | None:
        return at_place(record, place, lambda: teacher.read(record.value.get(teacher.field.name)))

    def ignored(self) -> dict[str, Any]:
        return super().ignored() | {probability_column(target): np.zeros(0, np.float32) for target in self._teachers}

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        """The labels of a batch, as :class:`tp_core.modules.targets.class_loss.ClassLoss` reads them.

        ``labels`` is (batch,), ``IGNORE`` for a sample without a label. With probabilities of a teacher, it is (batch,
        classes), and ``classes`` (batch,) has the class numbers.
        """
        found = super().labels(samples)
        for target, teacher in self._teachers.items():
            soft = probability_column(target)
            if not all(soft in sample for sample in samples):
                continue
            classes = found[target or self.kind]["labels"]
            probabilities = F.one_hot(classes.clamp(min=0), teacher.count).float()
            for row, sample in enumerate(samples):
                if len(sample[soft]):
                    probabilities[row] = torch.tensor(sample[soft])
            found[target or self.kind] = {"labels": probabilities, "classes": classes}
        return found

    def shares(self, name: str, labels: Tensor) -> Tensor:
        return labels if labels.dim() > 1 else super().shares(name, labels)


def _named(prediction: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A prediction with names instead of numbers for the label and the classes of the probabilities.

    If several targets predict, this applies to each prediction whose number of classes equals the number of names.
    """
    if "label" in prediction and len(prediction.get("probabilities", ())) == len(names):
        probabilities = dict(zip(names, prediction["probabilities"]))
        return {**prediction, "label": names[prediction["label"]], "probabilities": probabilities}
    return {key: _named(inner, names) if isinstance(inner, dict) else inner for key, inner in prediction.items()}
