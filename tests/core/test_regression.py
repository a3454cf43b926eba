"""Regression: losses against formulas in float64, labels that are missing, metrics, predictions, conformance."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from tests.building import CONTENT, batch_of, build, mask_of, randomised, tokens, worst
from tp_core import Model, TPError
from tp_core.interfaces import Batch, Joined
from tp_core.testing import check_module

NAN = math.nan


def model_of(folder: Path, **regression: Any) -> Model:
    model = {
        "hidden_size": 8,
        "vocab_size": 41,
        "pooling": "mean",
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"regression": {"dropout": 0.0, **regression}}],
    }
    return randomised(build(folder, model), std=0.5)


def batch(labels: Tensor, lengths: tuple[int, ...] = (6, 2, 5, 1)) -> Batch:
    inputs = {"input_ids": tokens(4, 6), "attention_mask": mask_of([*lengths], 6)}
    return batch_of({"regression": {"labels": labels}}, **inputs)


def values_of(model: Model, given: Batch) -> Tensor:
    """The formula of the head, in float64."""
    w = {name.removeprefix("targets.regression."): each.double() for name, each in model.weights().items()}
    features = model.encode(given).sequence
    mask = given.inputs["attention_mask"].double().unsqueeze(-1)
    x = (features.states.double() * mask).sum(1) / mask.sum(1)
    if "dense.weight" in w:
        x = torch.tanh(x @ w["dense.weight"].t() + w["dense.bias"])
    return x @ w["output.weight"].t() + w["output.bias"]


def labels_of(outputs: int, missing: bool) -> Tensor:
    labels = 3 * torch.randn(4, outputs, generator=torch.Generator().manual_seed(outputs))
    if missing:
        labels[1] = NAN
        labels[2, -1] = NAN
    return labels


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"hidden_layer": False}, {"loss": "huber"}, {"loss": "huber", "huber_delta": 0.25}]
)
def test_the_loss_is_the_mean_over_the_labels_that_are_there(
    tmp_path: Path, options: dict[str, Any], outputs: int, missing: bool
) -> None:
    labels = labels_of(outputs, missing)
    model, given = model_of(tmp_path, outputs=outputs, **options), batch(labels)
    gap = (values_of(model, given) - labels.double())[~labels.isnan()]
    delta = options.get("huber_delta", 1.0)
    huber = torch.where(gap.abs() <= delta, gap.square() / 2, delta * (gap.abs() - delta / 2))
    expected = huber.mean() if options.get("loss") == "huber" else gap.square().mean()
    output = model(given)
    assert worst(output.loss, expected) < 1e-5 * max(1, expected.item())
    assert output.outputs["regression"].denominator.item() == (~labels.isnan()).sum()


def test_a_label_that_is_missing_has_no_part_in_loss_and_gradients(tmp_path: Path) -> None:
    """Samples without labels change nothing, though their values are huge."""
    model, labels = model_of(tmp_path, outputs=2), labels_of(2, missing=True)
    model(batch(labels)).loss.backward()
    found = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad()
    rows = torch.tensor([0, 2, 3])
    inputs = {name: each[rows] for name, each in batch(labels).inputs.items()}
    without = model(batch_of({"regression": {"labels": labels[rows]}}, **inputs))
    without.loss.backward()
    for name, each in model.named_parameters():
        if each.grad is not None:
            assert torch.isfinite(found[name]).all()
            assert worst(found[name], each.grad) < 1e-6
    none = model(batch(torch.full((4, 2), NAN)))
    assert (none.loss.item(), none.outputs["regression"].denominator.item()) == (0, 0)


def test_metrics_of_a_batch_are_those_of_its_labels(tmp_path: Path) -> None:
    model, labels = model_of(tmp_path, outputs=2, metrics=["mae", "pearson"]), labels_of(2, missing=True)
    given = batch(labels)
    states = model(given).outputs["regression"].metrics
    assert [*states] == ["mae", "mae_0", "mae_1", "pearson", "pearson_0", "pearson_1"]
    values = values_of(model, given).detach().numpy()
    sums, counts = states["mae"]  # type: ignore[misc]
    gaps = np.abs(values - labels.numpy())
    assert np.allclose(sums.numpy(), np.nansum(gaps, axis=0), atol=1e-5)
    assert counts.tolist() == [3, 2]
    rows = states["pearson_0"]
    assert isinstance(rows, Joined)
    predicted, wanted, counted = (each.numpy() for each in rows.columns)
    known = [0, 2, 3]
    assert counted.tolist() == [True, False, True, True]
    expected = stats.pearsonr(values[known, 0], labels[known, 0].numpy()).statistic
    assert stats.pearsonr(predicted[counted], wanted[counted]).statistic == pytest.approx(expected, abs=1e-6)


def test_predictions_are_a_value_or_several(tmp_path: Path) -> None:
    for outputs in (1, 2):
        model, given = model_of(tmp_path, outputs=outputs), batch(labels_of(outputs, False))
        found = [each["value"] if outputs == 1 else each["values"] for each in model.predict(given)]
        expected = values_of(model, given).squeeze(-1) if outputs == 1 else values_of(model, given)
        assert np.allclose(found, expected.detach().numpy(), atol=1e-5)


def test_two_streams_are_combined_as_those_of_a_classifier(tmp_path: Path) -> None:
    stream = {"embedding": [CONTENT], "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "hidden_size": 8}}}
    parts = {"vocab_size": 41, "streams": {"a": {**stream, "pooling": "mean"}, "b": "a"}}
    target = {"regression": {"hidden_layer": False, "combine": ["abs_difference", "product"]}}
    model = randomised(build(tmp_path, {**parts, "target": [target]}))
    a, b = tokens(3, 5), tokens(3, 4, seed=1)
    labels = {"regression": {"labels": torch.randn(3, 1)}}
    given = Batch({"a": {"input_ids": a}, "b": {"input_ids": b}}, 3, labels=labels)
    u, v = (model.encode(given).streams[name].states.double().mean(1) for name in "ab")
    w = {name: each.double() for name, each in model.weights().items()}
    x = torch.cat([(u - v).abs(), u * v], dim=1)
    expected = x @ w["targets.regression.output.weight"].t() + w["targets.regression.output.bias"]
    assert worst(model(given).loss, (expected - labels["regression"]["labels"]).square().mean()) < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["accuracy"]}, "expected one of pearson, spearman, mse, mae, r2; got the text 'accuracy'"),
        ({"metrics": ["mse", "mse"]}, "regression.metrics: mse is listed twice"),
        ({"outputs": 0}, "regression.outputs"),
        ({"num_outputs": 2}, "unknown option 'num_outputs'; did you mean 'outputs'?"),
        ({"huber_delta": 2.0}, "regression.huber_delta: is for loss: huber, but loss is mse"),
        ({"combine": ["u", "v"]}, "combines the vectors of two streams, but the model has no model.streams"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_the_target_conforms(outputs: int, loss: str) -> None:
    metrics = ["pearson", "spearman", "mse", "mae", "r2"]
    check_module("regression", "target", {"outputs": outputs, "loss": loss, "metrics": metrics})
