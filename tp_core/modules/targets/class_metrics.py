"""Metrics of targets that classify samples."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from tp_core.interfaces import Joined, MetricState
from tp_core.metrics.classes import TOP_K
from tp_core.metrics.counts import class_counts, top_k_hits


def class_metrics(names: Iterable[str], logits: Tensor, labels: Tensor, counted: Tensor) -> dict[str, MetricState]:
    """The metrics of a batch, computed without a device synchronisation.

    Args:
        names: the metrics, keys of :data:`tp_core.metrics.classes.CLASS_METRICS`.
        logits: (batch, classes); the predicted class is the first with the largest logit.
        labels: (batch,) class numbers; or (batch, classes) probabilities, of which the most probable class is used.
        counted: (batch,) bool, True for samples that have a label.
    """
    expected = labels if labels.dim() == 1 else labels.argmax(dim=-1)
    predicted = logits.argmax(dim=-1)
    found: dict[str, MetricState] = {}
    for name in names:
        if name == "accuracy":
            found[name] = ((predicted == expected) & counted).sum().float(), counted.sum().float()
        elif name in TOP_K:
            hits = top_k_hits(logits.detach(), expected, TOP_K[name], counted)
            found[name] = hits.float(), counted.sum().float()
        elif name == "auc":
            scores = logits.detach().float()
            found[name] = Joined((scores[:, 1] - scores[:, 0], expected, counted))
        else:
            found[name] = (class_counts(predicted, expected, logits.shape[-1], counted),)
    return found
