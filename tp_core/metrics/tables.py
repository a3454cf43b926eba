"""Tables about an evaluation: figures per class, and the confusion matrix. Torch-free.

A target returns the states of its tables for each batch (``Target.tables``), like states of metrics. Its config
declares them (``TargetConfig.tables``) as :class:`TableFacts`, with the function that makes a :class:`Table` from the
complete state. :mod:`tp_core.metrics.table_forms` writes tables as text, TSV and JSON, and
:func:`tp_core.diagram.matrix.draw_matrix` draws a matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.metrics.classes import f1_each, mean_over, occurring, precision_each, recall_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A cell of a table; None for a cell without a value.
Cell = str | int | float | None


@dataclass(frozen=True)
class Matrix:
    """Numbers of samples by their label and by their prediction.

    Attributes:
        names: names of the classes, in order.
        counts: (classes, classes) int64; the rows are the labels, the columns the predictions.
    """

    names: tuple[str, ...]
    counts: "NDArray[Any]"


@dataclass(frozen=True)
class Table:
    """A table with named columns.

    Attributes:
        columns: names of the columns; the first column names the rows.
        rows: the rows, each with one cell per column.
        matrix: the same numbers as a square matrix that can be drawn; None for other tables.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    matrix: Matrix | None = None


@dataclass(frozen=True)
class TableFacts:
    """The declaration of a table by a target or a processor.

    Attributes:
        compute: a function (names, state, ...) → table. The names are those of the classes, or None if they have none.
            The state over all data is given as NumPy arrays, as for ``MetricFacts.compute``.
        metric: the metric of a processor from whose state the table is computed; None for a table of a target.
    """

    compute: Callable[..., Table]
    metric: str | None = None


def class_names(names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """The names of classes; their numbers if they have none.

    Raises:
        TPError: there is another number of names.
    """
    if names is not None and len(names) != classes:
        raise TPError(f"expected {classes} names of classes, got {len(names)}")
    return tuple(map(str, range(classes))) if names is None else tuple(names)


def per_class(names: Sequence[str] | None, counts: "NDArray[Any]") -> Table:
    """Precision, recall, F1 and number of labels of each class, and their averages.

    The figures equal those of ``classification_report`` of scikit-learn. A figure with a denominator of zero is 0. The
    last three rows are the accuracy over all samples, the means over the classes that are predicted or a label at least
    once, and the means weighted by the number of labels. Without samples, they have no value.

    Args:
        names: names of the classes.
        counts: (3, classes), from :func:`tp_core.metrics.counts.class_counts`.
    """
    figures = [precision_each(counts), recall_each(counts), f1_each(counts)]
    labels, found = counts[2], occurring(counts)
    total = int(labels.sum())
    rows: list[tuple[Cell, ...]] = [
        (name, *(float(values[number]) for values in figures), int(labels[number]))
        for number, name in enumerate(class_names(names, len(labels)))
    ]
    accuracy = float(counts[0].sum()) / total if total else None
    macro = [mean_over(values, found) if total else None for values in figures]
    weighted = [float((values * labels).sum()) / total if total else None for values in figures]
    rows += [("accuracy", None, None, accuracy, total), ("macro average", *macro, total)]
    rows += [("weighted average", *weighted, total)]
    return Table(("class", "precision", "recall", "f1", "labels"), tuple(rows))


def confusion(names: Sequence[str] | None, counts: "NDArray[Any]") -> Table:
    """The confusion matrix: a row for each label, a column for each prediction.

    Args:
        names: names of the classes.
        counts: (classes, classes), from :func:`tp_core.metrics.counts.confusion_counts`.
    """
    named, whole = class_names(names, len(counts)), counts.astype("int64")
    rows: list[tuple[Cell, ...]] = [(name, *row) for name, row in zip(named, whole.tolist())]
    return Table(("label \\ prediction", *named), tuple(rows), Matrix(named, whole))


PER_CLASS = TableFacts(per_class)
CONFUSION = TableFacts(confusion)
