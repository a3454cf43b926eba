"""Numbers of training samples per class: for ``class_weights: balanced`` of targets, and for ``data.balance``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.classes.options import ClassLabelOptions
from tp_core.data.sampling.mixture import DataSet
from tp_core.errors import DataError, TPError
from tp_core.modules.targets.options import ClassTargetConfig
from tp_core.options.choice import Chosen
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec
from tp_core.spec.trained.portable import replaced


def with_class_counts(spec: Spec, sets: Sequence[DataSet]) -> Spec:
    """The spec with the option ``class_counts`` of each target whose ``class_weights`` are ``balanced``.

    The counts are an option, and not a buffer with the weights: the specs of the run and of its export then show them,
    a checkpoint and an export have the same loss as the training without its data, and conversions and ``init_from``
    meet no tensor that belongs to other data. A resumed run counts the same data again.

    Args:
        sets: the prepared training sets. Those that feed a target are counted together.

    Raises:
        DataError: a class has no training sample.
        TPError: the spec has other counts.
    """

    def counted(chosen: Chosen[Any]) -> Chosen[Any]:
        config = chosen.config
        if not isinstance(config, ClassTargetConfig) or config.class_weights != "balanced":
            return chosen
        counts = _counts(spec, sets, chosen.instance_name, config.num_labels)
        if empty := np.flatnonzero(counts == 0).tolist():
            named = _listed(spec, chosen.instance_name, empty)
            message = f"balanced needs samples of each class; the training data have none of: {named}"
            raise DataError(f"{chosen.path}.class_weights: {message}; add some, or give a list of numbers")
        found = counts.tolist()
        if config.class_counts not in (None, found):
            message = f"is {config.class_counts}, but the training data have {found}; leave it out"
            raise TPError(f"{chosen.path}.class_counts: {message}")
        return replace(chosen, config=config.model_copy(update={"class_counts": found}))

    balanced = [getattr(target.config, "class_weights", None) == "balanced" for target in spec.model.targets]
    return replaced(spec, counted) if any(balanced) else spec


def _counts(spec: Spec, sets: Sequence[DataSet], target: str, classes: int) -> NDArray[np.int64]:
    """Number of training samples of each class of a target, (classes,)."""
    total = np.zeros(classes, np.int64)
    for data in sets:
        own = spec.of_set(data.name)
        processor = own.data.processor
        if processor is None or target not in [each.instance_name for each in own.model.targets]:
            continue
        column = processor.config.class_column(data_context(own), target)
        if column is not None:
            total += np.bincount(data.rows.integers(column), minlength=classes)[:classes]
    return total


def tell_balance(spec: Spec, data: DataSet, say: Callable[[str], None]) -> None:
    """Tell of possible mistakes with ``data.balance``: classes that are never drawn, and weights in addition."""
    own = spec.of_set(data.name)
    config = None if own.data.processor is None else own.data.processor.config
    if data.balance is None or data.class_column is None or not isinstance(config, ClassLabelOptions):
        return
    target = next(iter(own.data.options.labels), "")
    classes = config.classes(data_context(own), target)
    missing = sorted({*range(classes or 0)} - {*np.unique(data.rows.integers(data.class_column)).tolist()})
    if missing:
        say(f"data.balance: the training data have no sample of: {_listed(spec, target, missing)}")
    for each in own.model.targets:
        if isinstance(each.config, ClassTargetConfig) and each.config.class_weights == "balanced" and data.balance:
            message = "makes rare classes count more, and so does data.balance; usually, one of them is enough"
            say(f"note: {each.path}.class_weights: balanced {message}")


def _listed(spec: Spec, target: str, numbers: Sequence[int]) -> str:
    """Classes by their numbers, with their names if they have some."""
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return ", ".join(_shown(spec, target, number) for number in numbers[:5]) + more


def _shown(spec: Spec, target: str, number: int) -> str:
    for own in spec.sets().values():
        config = None if own.data.processor is None else own.data.processor.config
        if isinstance(config, ClassLabelOptions):
            names = config.class_names(target if target in own.data.options.labels else "")
            if names is not None and number < len(names):
                return f"{number} ({names[number]})"
    return str(number)
