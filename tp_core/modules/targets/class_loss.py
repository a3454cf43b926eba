"""The loss, the denominator, the metrics and the tables of all targets that classify whole samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Inputs, MetricState
from tp_core.metrics.counts import class_counts, confusion_counts
from tp_core.modules.targets.class_metrics import class_metrics
from tp_core.modules.targets.options import MOST_CONFUSED, ClassTargetConfig


def class_predictions(logits: Tensor) -> list[dict[str, Any]]:
    """The most probable class and the probabilities of all classes for each sample, from logits (batch, classes)."""
    probabilities = logits.float().softmax(dim=-1).cpu()
    labels = logits.argmax(dim=-1).tolist()  # different logits may have equal probabilities
    return [{"label": label, "probabilities": row} for label, row in zip(labels, probabilities.tolist())]


def labelled(labels: Inputs) -> Tensor:
    """A mask of the samples that have a label, (batch,) bool; for ``labels`` see :class:`ClassLoss`."""
    given: Tensor = labels.get("classes", labels["labels"])
    return given != IGNORE if given.dim() == 1 else torch.ones_like(given[:, 0], dtype=torch.bool)


def expected_classes(labels: Inputs) -> Tensor:
    """The class number of each sample for metrics, (batch,); for ``labels`` see :class:`ClassLoss`."""
    given: Tensor = labels["labels"]
    if "classes" in labels:
        return labels["classes"]
    return given if given.dim() == 1 else given.argmax(dim=-1)


class ClassLoss(nn.Module):
    """Cross entropy of classes, with the options that all classifiers share.

    The labels of a batch are a dictionary:

    - ``labels``: (batch,) class numbers, ``IGNORE`` for samples without a label; or (batch, classes) probabilities, of
      mixed samples or from a teacher.
    - ``classes``: (batch,) class numbers for metrics, in addition to probabilities; ``IGNORE`` for samples without a
      label, whose probabilities do not count. Without it, metrics use the most probable class.

    With class weights ``w``, the loss of a sample with the probabilities ``y`` is ``-Σ w_c · y_c · log p_c``, and its
    part of the denominator is ``Σ w_c · y_c``, the expected weight of its label. For class numbers, this is
    ``F.cross_entropy(weight=w, reduction="mean")``, also with label smoothing, which does not change the denominator.
    For probabilities, torch has the same sum but divides it by the number of samples. With the expected weight, a
    certain label costs the same in both forms, and ``balanced`` weights have a mean of 1 over the data.
    """

    #: Factors of the losses of the classes, (classes,) float32; None if all are 1.
    weights: Tensor | None

    def __init__(self, config: ClassTargetConfig) -> None:
        super().__init__()
        self.config = config
        # The values are those of the spec, so they are not stored with the weights of the model.
        self.register_buffer("weights", None if config.weights() is None else torch.empty(config.num_labels), False)

    def reset_parameters(self) -> None:
        if self.weights is not None:
            self.weights.copy_(torch.tensor(self.config.weights()))

    def denominator(self, labels: Inputs) -> Tensor:
        """The sum of the weights of the labels, a float scalar; without class weights, the number of samples."""
        given: Tensor = labels["labels"]
        self._need_weights(given)
        if self.weights is None:
            return labelled(labels).sum().float()
        if given.dim() > 1:
            expected = (given.float() * self.weights).sum(dim=-1)  # no matrix product: autocast would round it
            return torch.where(labelled(labels), expected, 0.0).sum()
        return torch.where(given != IGNORE, self.weights[given.clamp(min=0)], 0.0).sum()

    def forward(self, logits: Tensor, labels: Inputs) -> Tensor:
        """The sum of the losses of the samples that have a label, a scalar, for logits (batch, classes)."""
        given: Tensor = labels["labels"]
        self._need_weights(given)
        options: dict[str, Any] = {"weight": self.weights, "label_smoothing": self.config.label_smoothing}
        if "classes" in labels:
            each = F.cross_entropy(logits.float(), given, reduction="none", **options)
            return torch.where(labelled(labels), each, 0.0).sum()
        return F.cross_entropy(logits.float(), given, ignore_index=IGNORE, reduction="sum", **options)

    def metrics(self, logits: Tensor, labels: Inputs) -> dict[str, MetricState]:
        """The metrics of the options, for logits (batch, classes)."""
        return class_metrics(self.config.metrics, logits, expected_classes(labels), labelled(labels))

    def tables(self, logits: Tensor, labels: Inputs) -> dict[str, MetricState]:
        """The states of the tables that the options declare, for logits (batch, classes)."""
        size, counted = self.config.num_labels, labelled(labels)
        predicted, expected = logits.argmax(dim=-1), expected_classes(labels)
        found: dict[str, MetricState] = {"classes": (class_counts(predicted, expected, size, counted),)}
        if size <= MOST_CONFUSED:
            found["confusion"] = (confusion_counts(predicted, expected, size, counted),)
        return found

    def _need_weights(self, labels: Tensor) -> None:
        """Check that the weights are known. On the meta device, where only costs are measured, they need not be.

        Raises:
            TPError: ``class_weights`` is ``balanced``, and nobody has counted the classes.
        """
        if self.weights is None and self.config.class_weights == "balanced" and not labels.is_meta:
            message = "class_weights: balanced needs class_counts, the number of training samples of each class"
            raise TPError(f"{message}; a run counts them before its first step")
