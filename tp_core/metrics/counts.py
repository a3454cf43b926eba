"""Counts for classification metrics, computed on the device."""

from __future__ import annotations

import torch
from torch import Tensor


def class_counts(predicted: Tensor, labels: Tensor, classes: int, counted: Tensor | None = None) -> Tensor:
    """Counts per class: correct predictions, all predictions, and labels; without a device synchronisation.

    Args:
        predicted: (rows,) class numbers.
        labels: (rows,) class numbers; any value in rows that do not count.
        classes: number of classes.
        counted: (rows,) bool, True for the rows that count; None for all rows.

    Returns:
        (3, classes) int64.
    """
    counted = torch.ones_like(labels, dtype=torch.bool) if counted is None else counted
    one = counted.long()
    counts = torch.zeros(3, classes, dtype=torch.int64, device=labels.device)
    inside = labels.clamp(0, classes - 1)
    counts[0].scatter_add_(0, inside, one * (predicted == labels))
    counts[1].scatter_add_(0, predicted, one)
    counts[2].scatter_add_(0, inside, one)
    return counts


def confusion_counts(predicted: Tensor, labels: Tensor, classes: int, counted: Tensor | None = None) -> Tensor:
    """Number of samples by label and prediction; without a device synchronisation.

    Args:
        predicted: (rows,) class numbers.
        labels: (rows,) class numbers; any value in rows that do not count.
        classes: number of classes.
        counted: (rows,) bool, True for the rows that count; None for all rows.

    Returns:
        (classes, classes) int64; the first dimension is the label, the second the prediction.
    """
    counted = torch.ones_like(labels, dtype=torch.bool) if counted is None else counted
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=labels.device)
    counts.scatter_add_(0, labels.clamp(0, classes - 1) * classes + predicted, counted.long())
    return counts.view(classes, classes)


def top_k_hits(logits: Tensor, labels: Tensor, k: int, counted: Tensor) -> Tensor:
    """Number of samples whose label is among the k classes with the largest logits, a scalar.

    Among equal logits, the class with the smaller number comes first, as in ``argmax``.

    Args:
        logits: (rows, classes).
        labels: (rows,) class numbers; any value in rows that do not count.
        counted: (rows,) bool, True for the rows that count.
    """
    label = labels.clamp(min=0).unsqueeze(1)
    own = logits.gather(1, label)
    before = torch.arange(logits.shape[1], device=logits.device) < label
    rank = ((logits > own) | ((logits == own) & before)).sum(dim=1)
    # A comparison with NaN is false, which must not count as a hit.
    return ((rank < k) & ~own.isnan().squeeze(1) & counted).sum()


def label_counts(predicted: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """Counts per class of samples with any number of classes, without a device synchronisation.

    Args:
        predicted: (batch, classes) bool.
        labels: (batch, classes) bool; any value where no label counts.
        counted: (batch, classes) bool, True for labels that count.

    Returns:
        (4, classes) int64: the numbers of correct predictions, of predictions, of labels, and of all counted samples.
    """
    predicted, labels = predicted & counted, labels & counted
    return torch.stack([predicted & labels, predicted, labels, counted]).sum(dim=1)
