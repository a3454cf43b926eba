"""Predicted classes by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def named_classes(prediction: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A prediction with names in place of numbers: of the label, and of what each probability is for.

    Where several targets predict, it is done in each prediction of as many classes as there are names.
    """
    if "label" in prediction and len(prediction.get("probabilities", ())) == len(names):
        probabilities = dict(zip(names, prediction["probabilities"]))
        return {**prediction, "label": names[prediction["label"]], "probabilities": probabilities}
    return {key: named_classes(inner, names) if isinstance(inner, dict) else inner for key, inner in prediction.items()}
