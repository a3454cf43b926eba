"""Precision, recall and F1 of spans. Torch-free.

The state of each metric are counts by type of span (types, 3): correct, predicted, expected. A span is correct if its
type and its limits are. Values equal those of the script ``conlleval``; the names with ``strict`` count only spans
whose tags follow the scheme, as the library ``seqeval`` does in its mode ``strict``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tp_text.tagging.schemes import Span


def precision(counts: NDArray[Any]) -> float:
    """Correct spans of the predicted ones, over all types; 0 if none is predicted, NaN without any span."""
    correct, predicted, expected = counts.sum(axis=0)
    return float(correct / predicted) if predicted else math.nan if not expected else 0.0


def recall(counts: NDArray[Any]) -> float:
    """Correct spans of the expected ones, over all types; 0 if none is expected, NaN without any span."""
    correct, predicted, expected = counts.sum(axis=0)
    return float(correct / expected) if expected else math.nan if not predicted else 0.0


def f1(counts: NDArray[Any]) -> float:
    """Harmonic mean of precision and recall, over all types; NaN without any span."""
    correct, predicted, expected = counts.sum(axis=0)
    return float(2 * correct / (predicted + expected)) if predicted + expected else math.nan


SPAN_METRICS = {
    "f1": MetricFacts("high", f1),
    "precision": MetricFacts("high", precision),
    "recall": MetricFacts("high", recall),
    "strict_f1": MetricFacts("high", f1),
    "strict_precision": MetricFacts("high", precision),
    "strict_recall": MetricFacts("high", recall),
}


def by_type(types: Sequence[str], names: Sequence[str] | None, counts: NDArray[Any]) -> Table:
    """Precision, recall, F1 and number of spans of each type, and over all types.

    Args:
        types: the types of spans, in the order of the counts.
        names: unused; the names of classes.
        counts: (types, 3), the state of the metrics.
    """
    rows = []
    for name, own in [*zip(types, counts), ("all", counts.sum(axis=0))]:
        one = own[None]
        rows.append((name, precision(one), recall(one), f1(one), int(own[2]), int(own[1])))
    return Table(("type", "precision", "recall", "f1", "labels", "predictions"), tuple(rows))


def span_counts(
    predicted: Sequence[Sequence[Span]], expected: Sequence[Sequence[Span]], types: Sequence[str]
) -> NDArray[Any]:
    """Counts of spans by type (types, 3): correct, predicted, expected.

    Args:
        predicted: the spans of each text.
        expected: the spans of each text, by the labels.
    """
    import numpy as np

    counts = np.zeros((len(types), 3), dtype=np.int64)
    number = {kind: index for index, kind in enumerate(types)}
    for found, wanted in zip(predicted, expected, strict=True):
        for column, spans in enumerate(({*found} & {*wanted}, found, wanted)):
            for span in spans:
                counts[number[span.type], column] += 1
    return counts
