"""Classification of pairs: what is made of the vectors of two streams, and what cannot be made of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.building import CONTENT, build, mask_of, randomised, tokens, worst
from tp_core import Model, TPError
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module


def stream(hidden: int = 16, **options: Any) -> dict[str, Any]:
    transformer = {"num_layers": 1, "num_heads": 2, "hidden_size": hidden}
    return {"embedding": [CONTENT], "encoder": {"transformer": transformer}, **options}


def model_of(folder: Path, cls: dict[str, Any], **streams: Any) -> Model:
    parts = {"vocab_size": 41, "streams": {"a": stream(pooling="mean"), "b": stream(pooling="max")} | streams}
    return randomised(build(folder, parts | {"target": [{"cls": {"num_labels": 3, **cls}}]}))


def pairs() -> Batch:
    a = {"input_ids": tokens(4, 6), "attention_mask": mask_of([6, 2, 5, 1], 6)}
    labels = {"cls": {"labels": torch.tensor([0, 2, IGNORE, 1])}}
    return Batch({"a": a, "b": {"input_ids": tokens(4, 3, seed=1)}}, 4, labels=labels)


def vectors(model: Model, batch: Batch) -> dict[str, torch.Tensor]:
    streams = model.encode(batch).streams
    mask = batch.source["a"]["attention_mask"].double().unsqueeze(-1)
    u = (streams["a"].states.double() * mask).sum(1) / mask.sum(1)
    v = streams["b"].states.double().amax(1)
    alike = {"abs_difference": (u - v).abs(), "product": u * v} if u.shape == v.shape else {}
    return {"u": u, "v": v, **alike}


@pytest.mark.parametrize("hidden_layer", [True, False])
@pytest.mark.parametrize(
    "combine", [None, ["u", "v", "abs_difference", "product"], ["product"], ["abs_difference", "u"]]
)
def test_the_pair_is_classified_by_the_parts_that_are_asked_for(
    tmp_path: Path, combine: list[str] | None, hidden_layer: bool
) -> None:
    model, batch = model_of(tmp_path, {"combine": combine, "hidden_layer": hidden_layer}), pairs()
    made = vectors(model, batch)
    parts = combine or ["u", "v", "abs_difference"]  # SBERT's
    x = torch.cat([made[part] for part in parts], dim=1)
    assert x.shape[1] == 16 * len(parts)
    w = {name.removeprefix("targets.cls."): value.double() for name, value in model.weights().items()}
    if hidden_layer:
        x = torch.tanh(x @ w["dense.weight"].t() + w["dense.bias"])
    logits = x @ w["classifier.weight"].t() + w["classifier.bias"]
    labels = batch.labels["cls"]["labels"]
    output = model(batch)
    assert output.loss.item() == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-5)
    assert output.outputs["cls"].denominator.item() == 3
    scores, labelled = model.targets["cls"].logits(model.encode(batch), batch)  # type: ignore[operator]
    assert worst(scores, logits) < 1e-5
    assert labelled.tolist() == [True, True, False, True]
    found = torch.tensor([each["probabilities"] for each in model.predict(batch)])
    assert worst(found, logits.softmax(1)) < 1e-5


def test_a_pooling_of_the_target_holds_for_both_streams(tmp_path: Path) -> None:
    own = model_of(tmp_path, {"pooling": "mean"})
    both = model_of(tmp_path, {}, a=stream(pooling="mean"), b=stream(pooling="mean"))
    other = model_of(tmp_path, {})
    assert torch.equal(own(pairs()).loss, both(pairs()).loss)
    assert not torch.equal(own(pairs()).loss, other(pairs()).loss)


def test_streams_of_different_widths_stand_side_by_side(tmp_path: Path) -> None:
    options, batch = {"combine": ["v", "u"], "hidden_layer": False}, pairs()
    model = model_of(tmp_path, options, b=stream(8, pooling="max"))
    made = vectors(model, batch)
    weights = model.weights()
    x = torch.cat([made["v"], made["u"]], dim=1)
    logits = x @ weights["targets.cls.classifier.weight"].double().t() + weights["targets.cls.classifier.bias"]
    assert x.shape[1] == 24
    assert model(batch).loss.item() == pytest.approx(
        F.cross_entropy(logits, batch.labels["cls"]["labels"]).item(), abs=1e-5
    )


def test_without_streams_nothing_is_combined(tmp_path: Path) -> None:
    parts = {"vocab_size": 41, "hidden_size": 16, **stream()}
    model = build(tmp_path, parts | {"target": [{"cls": {"hidden_layer": False}}]})
    assert model.get_parameter("targets.cls.classifier.weight").shape == (2, 16)
    with pytest.raises(TPError, match=r"combines the vectors of two streams, but the model has no model\.streams"):
        build(tmp_path, parts | {"target": [{"cls": {"combine": ["u", "v"]}}]})


@pytest.mark.parametrize(
    ("cls", "streams", "message"),
    [
        ({}, {"c": stream()}, "model.target.cls: reads pairs of exactly two streams, but the model has a, b, c"),
        ({}, {"b": stream(8)}, "cls.combine: 'abs_difference' needs streams of equal width, but they have 16 and 8"),
        ({"combine": ["u", "product"]}, {"b": stream(8)}, "'product' needs streams of equal width"),
        ({"combine": []}, {}, "model.target.cls.combine"),
        ({"combine": ["difference"]}, {}, "did you mean 'abs_difference'"),
    ],
)
def test_what_cannot_be_combined_is_refused(
    tmp_path: Path, cls: dict[str, Any], streams: dict[str, Any], message: str
) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, cls, **streams)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("combine", "shared"), itertools.product([None, ["u", "v", "abs_difference", "product"]], [True, False])
)
def test_the_target_conforms_on_streams(combine: list[str] | None, shared: bool) -> None:
    streams = {"a": stream(24, pooling="mean"), "b": "a" if shared else stream(24)}
    check_module("cls", "target", {"combine": combine}, model={"streams": streams})


def test_one_streams_vector_is_made_as_the_stream_says(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {"stream": "a", "hidden_layer": False}), pairs()
    w = {name.removeprefix("targets.cls.classifier."): value.double() for name, value in model.weights().items()}
    logits = vectors(model, batch)["u"] @ w["weight"].t() + w["bias"]
    found = torch.tensor([each["probabilities"] for each in model.predict(batch)])
    assert worst(found, logits.softmax(-1)) < 1e-5
