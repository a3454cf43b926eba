"""Heads of transformers' sequence and image classifiers, which are one of three targets. Torch-free.

A class such as ``BertForSequenceClassification`` is a classifier, a multi-label classifier or a regression, as its
config's ``problem_type`` and number of labels say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.interop import parts
from tp_core.interop.class_names import class_names, label_names
from tp_core.interop.rules import Own, Same, WeightRule
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.modules.targets.multi_label_options import MultiLabelConfig
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.modules.targets.regression_options import RegressionConfig
from tp_core.options.marks import is_prediction_only

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

#: ``ConverterConfig.head_variants`` of converters that use this module.
VARIANTS = {"cls": ("multi_label", "regression")}

#: Target → its ``problem_type``. Transformers also infers those of classifiers, and of regressions of one number.
_PROBLEMS = {
    "cls": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}


def class_count(config: Mapping[str, Any]) -> int:
    """The number of classes of a classifier that is always one.

    Raises:
        TPError: there is only one label, which stands for a regression.
    """
    count = _label_count(config)
    if count < 2:
        raise TPError("config.json: a regression (one label) cannot be converted; expected two or more classes")
    return count


def _label_count(config: Mapping[str, Any]) -> int:
    names = config.get("id2label")
    return len(names) if isinstance(names, dict) else int(config.get("num_labels") or 2)


def head(config: Mapping[str, Any]) -> tuple[str, int]:
    """The target that stands for a head, and its number of classes or outputs.

    Raises:
        TPError: the problem type is unknown, or does not fit the number of labels.
    """
    count, problem = _label_count(config), config.get("problem_type")
    inferred = "regression" if count == 1 else "single_label_classification"
    target = next((name for name, known in _PROBLEMS.items() if known == (problem or inferred)), None)
    if target is None:
        raise TPError(f"config.json: 'problem_type' is {problem!r}; expected {', '.join(_PROBLEMS.values())}, or null")
    if count < (2 if target == "cls" else 1):
        raise TPError(f"config.json: 'problem_type' is {problem!r}, but the number of labels is {count}")
    return target, count


def target(config: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The target that stands for a head, as in a spec.

    Args:
        options: options of the part that the three targets share.
    """
    name, count = head(config)
    return {name: {"outputs" if name == "regression" else "num_labels": count, **options}}


def processor(config: Mapping[str, Any], names: Mapping[str, str], **options: Any) -> dict[str, Any]:
    """The processor of a classifier, as in a spec, with the names of its classes or outputs.

    Args:
        names: name of the target → name of the processor for its labels.
        options: other options of the processor.
    """
    name, _ = head(config)
    known = class_names(config)
    if known:
        options["names" if name == "regression" else "labels"] = known
    return {names[name]: options}


def keys(spec: Spec) -> dict[str, Any]:
    """Keys of the config.json of a spec's classifier; empty if the spec has none."""
    found = parts.target(spec, PooledTargetConfig)
    if isinstance(found, RegressionConfig):
        return {**label_names(spec, found.outputs), "problem_type": _PROBLEMS["regression"]}
    if isinstance(found, MultiLabelConfig):
        return {**label_names(spec, found.num_labels), "problem_type": _PROBLEMS["multi_label"]}
    return label_names(spec, found.num_labels) if isinstance(found, ClassificationConfig) else {}


def weights(output: str, dense: str | None = None) -> Sequence[WeightRule]:
    """Conversion rules of the head of each of the three targets.

    Args:
        output: name of the output layer in the checkpoint.
        dense: name of the dense layer before it; None if the architecture has none.
    """
    outputs = ("cls.classifier", "multi_label.classifier", "regression.output")
    rules: list[WeightRule] = [Same(output, f"targets.{ours}") for ours in outputs]
    if dense is not None:
        rules += [Same(dense, f"targets.{name}.dense") for name in _PROBLEMS]
    return [*rules, Own("targets.multi_label.thresholds.values")]


def written_notes(spec: Spec) -> list[str]:
    """Notes on the options for predictions of a spec's targets that are exported to transformers."""
    notes = []
    found = parts.target(spec, MultiLabelConfig)
    if found is not None and (found.threshold != 0.5 or found.tune_threshold != "none"):
        reason = "it gives probabilities, and the thresholds of the model are not written"
        notes.append(f"transformers has no thresholds: {reason}")
    for target in spec.model.targets:
        for option, info in type(target.config).model_fields.items():
            value = getattr(target.config, option)
            if is_prediction_only(info) and value != info.default:
                reason = "it is an option of the prediction there, and not of the model"
                notes.append(f"{target.path}.{option} is {value} and is not written: {reason}")
    return notes
