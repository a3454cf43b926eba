"""``predict_ensemble`` averages the predictions of several models."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.errors import TPError
from tp_core.inference.predict import Inputs, as_records, predict
from tp_core.processes.shared import ALONE, Processes

Prediction = dict[str, Any]

#: The probability from which a class is a label of a sample, if several classes may be.
_THRESHOLD = 0.5


def predict_ensemble(
    models: Sequence[LoadedModel | str | os.PathLike[str]],
    inputs: Inputs,
    batch_size: int = 32,
    device: str = "auto",
    processes: Processes = ALONE,
    trust_code: bool = False,
    done: Callable[[int], None] = lambda _: None,
) -> Iterator[Prediction]:
    """Predictions of several models, averaged: one dictionary per input, in order, as :func:`tp_core.predict` gives.

    Probabilities and other numbers are averaged (:func:`averaged`), and labels follow from the averages. The models may
    differ in everything but the form of their predictions and the names of their classes. All of them are in memory at
    the same time.

    Args:
        models: loaded models, or their folders.
        inputs: see :func:`tp_core.predict`, as for the other arguments.
        done: called with the number of finished predictions of single models after each batch.

    Raises:
        TPError: there is no model, the models have different classes, or their predictions cannot be averaged.
        DataError: an input cannot be used by one of the models.
    """
    if isinstance(models, (str, os.PathLike, LoadedModel)) or not isinstance(models, Sequence) or not models:
        raise TPError("expected a list of models, or of the folders of models")
    loaded = [loaded_model(model, device, processes, trust_code) for model in models]
    names = [str(each) if isinstance(each, (str, os.PathLike)) else _name(each) for each in models]
    # Each model predicts for a whole turn of its processes before the next one begins, so that these stay together.
    ahead = [each.processor.read_ahead for each in loaded if each.processor is not None]
    size = max(ahead, default=1) * processes.count
    thresholds = [_thresholds_of(each) for each in loaded]
    records, number = as_records(inputs), 0
    while turn := list(islice(records, size)):
        each = [[*predict(one, turn, batch_size, processes=processes, done=done)] for one in loaded]
        for found in zip(*each, strict=True):
            number += 1
            failed = next((one for one in found if "error" in one), None)
            yield averaged(found, names, number, thresholds) if failed is None else failed


def averaged(
    predictions: Sequence[Prediction],
    models: Sequence[str],
    number: int = 1,
    thresholds: Sequence[Mapping[str, Sequence[float]]] = (),
) -> Prediction:
    """The average of the predictions of several models for one record.

    - A number with a fraction, such as a probability, becomes the mean.
    - A ``label`` beside ``probabilities`` becomes the class with the highest mean probability.
    - ``labels`` beside ``probabilities`` become the classes whose mean probability is at least the mean of the models'
      thresholds.
    - Mappings and lists are averaged item by item. Everything else must be equal, such as a file's name.

    Args:
        predictions: one prediction per model.
        models: names of the models, for messages.
        number: number of the record, for messages.
        thresholds: for each model, the thresholds of the classes, by the name of the field with the labels and the
            probabilities; empty for the whole prediction. Default: 0.5.

    Raises:
        TPError: the predictions have different fields or classes, or a field that cannot be averaged.
    """
    found = _Average(models, number, thresholds or [{}] * len(models)).of(list(predictions), "")
    assert isinstance(found, dict)
    return found


class _Average:
    def __init__(self, models: Sequence[str], number: int, thresholds: Sequence[Mapping[str, Sequence[float]]]) -> None:
        self.models, self.number, self.thresholds = models, number, thresholds

    def of(self, values: list[Any], field: str) -> Any:
        """The average of the values of a field; the empty name stands for the whole predictions."""
        if all(isinstance(value, Mapping) for value in values):
            return self._of_mappings(values, field)
        if all(isinstance(value, (list, tuple)) for value in values):
            if len({len(value) for value in values}) > 1:
                if _is_probabilities(field):
                    raise self._other_classes([f"{len(value)}" for value in values])
                raise self._no_average(values, field)
            return [self.of(list(items), f"{field}[{index}]") for index, items in enumerate(zip(*values))]
        if all(isinstance(value, float) for value in values):
            return math.fsum(values) / len(values)
        if all(type(value) is type(values[0]) and value == values[0] for value in values):
            return values[0]
        raise self._no_average(values, field)

    def _of_mappings(self, values: list[Mapping[str, Any]], field: str) -> dict[str, Any]:
        keys = [list(value) for value in values]
        if any(each != keys[0] for each in keys):
            if _is_probabilities(field):
                raise self._other_classes([", ".join(map(str, each)) for each in keys])
            if any(set(each) != set(keys[0]) for each in keys):
                listed = self._of_models([", ".join(map(str, each)) or "nothing" for each in keys])
                place = f" in '{field}'" if field else ""
                raise TPError(f"the models predict different things{place}: {listed}")
        made, inner = {}, f"{field}." if field else ""
        thresholds = [each.get(field, ()) for each in self.thresholds]
        rule = _rule(values, thresholds)
        for key in keys[0]:
            if key != rule:
                made[key] = self.of([value[key] for value in values], f"{inner}{key}")
        if not rule:
            return made
        if rule == "label":
            chosen = _label(made["probabilities"])
        else:
            classes = len(made["probabilities"])
            each = [list(own) or [_THRESHOLD] * classes for own in thresholds]
            chosen = _labels(made["probabilities"], [math.fsum(own) / len(own) for own in zip(*each)])
        return {key: chosen if key == rule else made[key] for key in keys[0]}

    def _other_classes(self, classes: list[str]) -> TPError:
        return TPError(f"the models have different classes, or in another order: {self._of_models(classes)}")

    def _no_average(self, values: list[Any], field: str) -> TPError:
        shown = self._of_models([_brief(value) for value in values])
        return TPError(
            f"predictions with '{field}' cannot be averaged, only probabilities and other numbers with fractions can; "
            f"record {self.number}: {shown}"
        )

    def _of_models(self, texts: list[str]) -> str:
        return "; ".join(f"{model}: {text}" for model, text in zip(self.models, texts))


def _is_probabilities(field: str) -> bool:
    return field.rpartition(".")[2] == "probabilities"


def _thresholds_of(model: LoadedModel) -> dict[str, list[float]]:
    """The thresholds of a model's classes, by the name of the target; of the only target, by the empty name, too."""
    found: dict[str, list[float]] = {}
    for name, target in model.model.named_targets().items():
        values = target.label_thresholds()
        if values is not None:
            found[name] = found[""] = values.tolist()
    return found


def _rule(values: list[Mapping[str, Any]], thresholds: Sequence[Sequence[float]]) -> str:
    """The field that follows from the probabilities beside it in all predictions; empty for none."""
    if all({"label", "probabilities"} <= value.keys() for value in values):
        each = [(_by_class(value["probabilities"]), value["label"]) for value in values]
        if all(own.get(label) == max(own.values(), default=None) for own, label in each):
            return "label"
    if all({"labels", "probabilities"} <= value.keys() for value in values) and all(
        value["labels"] == _labels(value["probabilities"], own) for value, own in zip(values, thresholds)
    ):
        return "labels"
    return ""


def _by_class(probabilities: Any) -> dict[Any, float]:
    return dict(probabilities if isinstance(probabilities, Mapping) else enumerate(probabilities))


def _label(probabilities: Any) -> Any:
    found = _by_class(probabilities)
    return max(found, key=lambda name: found[name])


def _labels(probabilities: Any, thresholds: Sequence[float]) -> list[Any]:
    found = _by_class(probabilities)
    return [
        name for (name, value), least in zip(found.items(), thresholds or [_THRESHOLD] * len(found)) if value >= least
    ]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _name(model: LoadedModel) -> str:
    return model.spec.name if model.weights is None else str(model.weights.parent)
