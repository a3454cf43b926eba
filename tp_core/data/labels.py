"""Labels of records, shared by the processors for tasks on whole samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from tp_core.data.fields import missing_field
from tp_core.data.label_columns import label_column
from tp_core.errors import DataError
from tp_core.interfaces import Inputs, Record, Rows, Sample

T = TypeVar("T")

#: File and line for messages.
Place = tuple[str, int | None]


class LabelReader(ABC):
    """Reads the label of one target from a field of records, and makes predictions of the target readable.

    Args:
        field: name of the field.
    """

    def __init__(self, field: str) -> None:
        self.field = field

    def read(self, record: Record, place: Place | None = None, hint: str = "") -> Any:
        """The label of a record, as the cell of a row.

        Args:
            place: file and line for messages; the record's own if None.
            hint: advice where to get labels, for the message about a missing label.

        Raises:
            DataError: the label is missing, or is not valid.
        """
        value = record.value.get(self.field)
        if value is None:
            raise missing_field(record, f"'{self.field}'", hint, place)
        return at_place(record, place, lambda: self.cell(value))

    @abstractmethod
    def cell(self, value: Any) -> Any:
        """The label that a value stands for, as the cell of a row.

        Raises:
            ValueError: the value is not valid.
        """

    @abstractmethod
    def batch(self, cells: list[Any]) -> Tensor:
        """The labels of a batch (batch, ...) from the cells of its samples; None for a sample without a label."""

    @abstractmethod
    def shares(self, labels: Tensor) -> Tensor:
        """Labels of a batch in a form of which weighted means are labels, too, (batch, ...) float32.

        Samples that are mixed with each other get such labels.
        """

    @abstractmethod
    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with names instead of numbers, where there are names."""


def at_place(record: Record, place: Place | None, made: Callable[[], T]) -> T:
    """Call a function that reads a record; its ``ValueError`` becomes an error with the place.

    Raises:
        DataError: the function cannot use the record.
    """
    file, line = (record.file, record.line) if place is None else place
    try:
        return made()
    except ValueError as error:
        raise DataError(str(error), file=file, line=line) from None


R = TypeVar("R", bound=LabelReader)


class RecordLabels(Generic[R]):
    """The labels of records, for processors. Rows and samples have a column for each label.

    Either all targets that ask for labels of this kind share one label, or each target has its own column
    (``data.labels``).

    Args:
        each: label readers by target; the empty name means all targets.
    """

    #: Kind of the labels, as in ``Port.labels``.
    kind: ClassVar[str]

    def __init__(self, each: Mapping[str, R]) -> None:
        self.each = dict(each)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of rows and samples."""
        return tuple(map(label_column, self.each))

    def read(self, record: Record, place: Place | None = None, hint: str = "") -> dict[str, Any]:
        """The cells of a record's labels, by column (see :meth:`LabelReader.read`).

        Raises:
            DataError: a label is missing, or is not valid.
        """
        return {label_column(target): each.read(record, place, hint) for target, each in self.each.items()}

    def of_row(self, rows: Rows, index: int) -> dict[str, Any]:
        """The labels of a row, by column."""
        return {column: rows.get(column, index) for column in self.columns}

    def ignored(self) -> dict[str, Any]:
        """The columns of a sample without a label in training, such as a text with another picture."""
        return dict.fromkeys(self.columns)

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        """The labels of a batch (see :meth:`LabelReader.batch`)."""
        return {
            target or self.kind: {"labels": each.batch([sample.get(label_column(target)) for sample in samples])}
            for target, each in self.each.items()
        }

    def shares(self, name: str, labels: Tensor) -> Tensor:
        """The labels called ``name`` in a batch in a form that can be mixed (see :meth:`LabelReader.shares`)."""
        return self.each[name if name in self.each else ""].shares(labels)

    def named(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with names instead of numbers, where there are names."""
        if "" in self.each:
            return self.each[""].named(predictions)
        return [self._named(each) for each in predictions]

    def _named(self, prediction: dict[str, Any]) -> dict[str, Any]:
        own = {name: self.each[name].named([inner])[0] for name, inner in prediction.items() if name in self.each}
        # If there is only one target, a prediction does not contain the target's name.
        return prediction | own if own or len(self.each) > 1 else next(iter(self.each.values())).named([prediction])[0]
