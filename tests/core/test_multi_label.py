"""Multi-label classification: the loss against a formula in float64, unknown labels, thresholds, conformance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import CONTENT, batch_of, build, mask_of, randomised, tokens, worst
from tp_core import Model, TPError
from tp_core.interfaces import Batch
from tp_core.testing import check_module

CLASSES = 3


def model_of(folder: Path, **options: Any) -> Model:
    model = {
        "hidden_size": 8,
        "vocab_size": 41,
        "pooling": "mean",
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"multi_label": {"num_labels": CLASSES, "dropout": 0.0, **options}}],
    }
    return randomised(build(folder, model), std=0.5)


def batch(labels: Tensor) -> Batch:
    inputs = {"input_ids": tokens(5, 6), "attention_mask": mask_of([6, 2, 5, 1, 6], 6)}
    return batch_of({"multi_label": {"labels": labels}}, **inputs)


def logits_of(model: Model, given: Batch) -> Tensor:
    """The formula of the head, in float64."""
    w = {name.removeprefix("targets.multi_label."): each.double() for name, each in model.weights().items()}
    mask = given.inputs["attention_mask"].double().unsqueeze(-1)
    x = (model.encode(given).sequence.states.double() * mask).sum(1) / mask.sum(1)
    x = torch.tanh(x @ w["dense.weight"].t() + w["dense.bias"])
    return x @ w["classifier.weight"].t() + w["classifier.bias"]


def hard() -> Tensor:
    return torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("pos_weight", [None, [2.0, 0.5, 7.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["hard", "soft", "unknown"])
def test_the_loss_is_the_mean_cross_entropy_over_samples_and_classes(
    tmp_path: Path, kind: str, smoothing: float, pos_weight: list[float] | None
) -> None:
    labels = torch.rand(5, CLASSES, generator=torch.Generator().manual_seed(3)) if kind == "soft" else hard()
    if kind == "unknown":
        labels[1] = math.nan
        labels[3, 1:] = math.nan
    given = batch(labels)
    model = model_of(tmp_path, label_smoothing=smoothing, pos_weight=pos_weight)
    y, p = labels.double() * (1 - smoothing) + smoothing / 2, logits_of(model, given).sigmoid()
    factors = torch.tensor(pos_weight or [1.0] * CLASSES).double()
    expected = -(factors * y * p.log() + (1 - y) * (1 - p).log())[~labels.isnan()].mean()
    output = model(given)
    assert worst(output.loss, expected) < 1e-5
    assert output.outputs["multi_label"].denominator.item() == (~labels.isnan()).sum()


def test_a_label_that_is_unknown_has_no_part_in_the_gradients(tmp_path: Path) -> None:
    model, labels = model_of(tmp_path), hard()
    labels[1] = labels[3] = math.nan
    model(batch(labels)).loss.backward()
    found = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad()
    rows = torch.tensor([0, 2, 4])
    inputs = {name: each[rows] for name, each in batch(labels).inputs.items()}
    model(batch_of({"multi_label": {"labels": labels[rows]}}, **inputs)).loss.backward()
    for name, each in model.named_parameters():
        if each.grad is not None:
            assert worst(found[name], each.grad) < 1e-6


@pytest.mark.parametrize("threshold", [0.5, 0.3, [0.2, 0.5, 0.9]])
def test_classes_are_predicted_from_their_threshold_on(tmp_path: Path, threshold: Any) -> None:
    model, given = model_of(tmp_path, threshold=threshold, metrics=["exact_match", "f1_micro"]), batch(hard())
    p = logits_of(model, given).sigmoid()
    chosen = p >= (torch.tensor(threshold) if isinstance(threshold, list) else threshold)
    predictions = model.predict(given)
    assert [each["labels"] for each in predictions] == [row.nonzero().flatten().tolist() for row in chosen]
    assert worst(torch.tensor([each["probabilities"] for each in predictions]), p) < 1e-6
    states: Any = model(given).outputs["multi_label"].metrics
    assert states["exact_match"][0].item() == (chosen == hard().bool()).all(1).sum()
    assert states["f1_micro"][0][1].tolist() == chosen.sum(0).tolist()


def test_thresholds_are_weights_only_if_they_are_tuned(tmp_path: Path) -> None:
    name = "targets.multi_label.thresholds.values"
    assert name not in model_of(tmp_path, threshold=0.3).weights()
    tuned = model_of(tmp_path, threshold=0.3, tune_threshold="shared")
    weights = tuned.weights()
    assert weights[name].tolist() == pytest.approx([0.3] * CLASSES)
    tuned.load_weights({**weights, name: torch.tensor([0.1, 0.2, 0.9])})
    assert tuned.weights()[name].tolist() == pytest.approx([0.1, 0.2, 0.9])


def test_factors_and_thresholds_of_the_options_outlast_the_loading_of_weights(tmp_path: Path) -> None:
    model = model_of(tmp_path, threshold=[0.2, 0.5, 0.9], pos_weight=[2.0, 0.5, 7.0])
    before = model(batch(hard())).loss
    other = model_of(tmp_path, threshold=[0.2, 0.5, 0.9], pos_weight=[2.0, 0.5, 7.0])
    other.load_weights(model.weights())
    assert torch.equal(other(batch(hard())).loss, before)
    assert other.predict(batch(hard())) == model.predict(batch(hard()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"metrics": ["f1"]},
            "expected one of f1_micro, f1_macro, average_precision, exact_match, accuracy; got the text 'f1'",
        ),
        ({"metrics": ["accuracy", "accuracy"]}, "multi_label.metrics: accuracy is listed twice"),
        ({"threshold": [0.5, 0.5]}, "multi_label.threshold: has 2 numbers, but num_labels is 3"),
        ({"threshold": 1.5}, "multi_label.threshold: must be at most 1, got 1.5"),
        ({"threshold": [0.5, 0.5, 2]}, "multi_label.threshold[2]: must be at most 1, got 2"),
        (
            {"threshold": [0.1, 0.2, 0.3], "tune_threshold": "shared"},
            "multi_label.threshold: has a number per class, but tune_threshold: shared finds one for all",
        ),
        ({"pos_weight": [1.0]}, "multi_label.pos_weight: has 1 numbers, but num_labels is 3"),
        ({"pos_weight": [1.0, 0.0, 1.0]}, "multi_label.pos_weight[1]: must be greater than 0, got 0"),
        ({"thresholds": 0.2}, "unknown option 'thresholds'; did you mean 'threshold'?"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_labels": 1, "threshold": 0.1},
        {"num_labels": 4, "tune_threshold": "per_class", "pos_weight": [1.0, 2.0, 3.0, 4.0], "label_smoothing": 0.1},
        {"metrics": ["average_precision", "exact_match", "accuracy"], "tune_threshold": "shared"},
    ],
)
def test_the_target_conforms(options: dict[str, Any]) -> None:
    check_module("multi_label", "target", options)


def test_the_target_conforms_on_streams() -> None:
    transformer = {"transformer": {"num_layers": 1, "num_heads": 2, "hidden_size": 16}}
    stream = {"embedding": [CONTENT], "encoder": transformer}
    check_module("multi_label", "target", model={"streams": {"a": stream, "b": "a"}})
