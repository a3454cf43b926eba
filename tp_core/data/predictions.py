"""The predictions of the targets that a processor has labels for, among those of all targets of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tp_core.options.context import DataContext


class OwnPredictions:
    """Finds and replaces the predictions of the targets that read a kind of labels.

    If several targets predict, a prediction has one entry per target, by name; else it is that of the only target.

    Args:
        data: the facts about the model's targets.
        labels: the kind of labels, such as ``token_cls``.
    """

    def __init__(self, data: DataContext, labels: str) -> None:
        self.names = [name for name, target in data.targets.items() if labels in target.labels]

    def of(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """The prediction of the first such target."""
        found: dict[str, Any] = next((prediction[name] for name in self.names if name in prediction), prediction)
        return found

    def combined(
        self, predictions: list[dict[str, Any]], combine: Callable[[list[dict[str, Any]]], dict[str, Any]]
    ) -> dict[str, Any]:
        """One prediction for the samples of a record. Other targets have the prediction for its first sample."""
        named = [name for name in self.names if name in predictions[0]]
        if not named:
            return combine(predictions)
        return {**predictions[0], **{name: combine([each[name] for each in predictions]) for name in named}}
