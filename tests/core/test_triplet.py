"""The triplet loss of three streams: its formula, its accuracy, and the gradients of equal texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import build, mask_of, randomised, tokens
from tests.core.test_similarity import stream
from tp_core import Model, TPError
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module


def model_of(folder: Path, options: dict[str, Any], seed: int = 0, streams: Any = None) -> Model:
    own = streams or {"anchor": stream(pooling="mean"), "positive": "anchor", "negative": "anchor"}
    return randomised(build(folder, {"vocab_size": 41, "streams": own, "target": [{"triplet": options}]}), seed)


def triplets(rows: int = 5, seed: int = 0, labels: Tensor | None = None) -> Batch:
    names, masked = ("anchor", "positive", "negative"), mask_of([6, 2, 3, 6, 1][:rows], 6)
    source = {name: {"input_ids": tokens(rows, 6, seed=seed + n)} for n, name in enumerate(names)}
    source["positive"]["attention_mask"] = masked
    return Batch(source, rows, labels={"clr": {"labels": torch.ones(rows).long() if labels is None else labels}})


def vectors(model: Model, batch: Batch) -> list[Tensor]:
    made = []
    for name, sequence in model.encode(batch).streams.items():
        mask = batch.source[name].get("attention_mask", torch.ones(batch.size, 6)).double().unsqueeze(-1)
        made.append((sequence.states.double() * mask).sum(1) / mask.sum(1))
    return made


def named(batch: Batch) -> Batch:
    """The batch with its labels by the name of the target, as a route gives them."""
    return Batch(batch.source, batch.size, labels={"triplet": batch.labels["clr"]})


@pytest.mark.parametrize("margin", [0.2, 1.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_the_loss_and_the_accuracy_follow_their_formula(
    tmp_path: Path, distance: str, seed: int, margin: float
) -> None:
    model = model_of(tmp_path, {"distance": distance, "margin": margin}, seed)
    batch = named(triplets(seed=seed, labels=torch.tensor([1, 1, IGNORE, 1, 1])))
    a, p, n = vectors(model, batch)
    if distance == "euclidean":
        near, far = (a - p).square().sum(1).sqrt(), (a - n).square().sum(1).sqrt()
    else:
        near, far = 1 - F.cosine_similarity(a, p), 1 - F.cosine_similarity(a, n)
    each, counted = (near - far + margin).clamp(min=0), torch.tensor([0, 1, 3, 4])
    output = model(batch)
    assert output.loss.item() == pytest.approx(each[counted].mean().item(), abs=1e-5)
    assert output.outputs["triplet"].denominator.item() == 4
    accuracy = (near < far)[counted].double().mean().item()
    assert output.metrics["triplet/accuracy"].item() == pytest.approx(accuracy)
    found = model.predict(batch)
    assert [each["distance"] for each in found] == pytest.approx(near.tolist(), abs=1e-5)
    assert [each["negative_distance"] for each in found] == pytest.approx(far.tolist(), abs=1e-5)


def test_the_loss_is_that_of_torch(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), named(triplets())
    wanted = F.triplet_margin_loss(*vectors(model, batch), margin=1.0, eps=0.0)
    assert model(batch).loss.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_a_pair_without_a_negative_has_a_distance(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), named(triplets())
    both = [each["distance"] for each in model.predict(batch)]
    del batch.source["negative"]
    found = model.predict(batch)
    assert [list(each) for each in found] == [["distance"]] * 5
    assert [each["distance"] for each in found] == pytest.approx(both, abs=1e-6)


def test_equal_texts_have_finite_gradients(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), named(triplets())
    for name in ("positive", "negative"):
        batch.source[name] = dict(batch.source["anchor"])
    output = model.train()(batch)
    output.loss.backward()
    assert output.loss.item() == pytest.approx(1.0)
    assert output.metrics["triplet/accuracy"].item() == 0.0  # equally near is not nearer
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("streams", "options", "message"),
    [
        ({"a": stream(), "b": "a"}, {}, "triplet: compares three streams (model.streams): anchor, positive and neg"),
        ({"a": stream(), "b": "a", "c": stream(8)}, {}, "compares vectors of equal width, but the streams have"),
        (None, {"stream": "anchor"}, "triplet.stream: is for a target that reads one stream"),
        (None, {"margin": 0.0}, "triplet.margin"),
    ],
)
def test_what_is_no_triplet_is_refused(tmp_path: Path, streams: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, options, streams=streams)
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"distance": "cosine", "margin": 0.5, "pooling": "max"}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    check_module("triplet", "target", options, model={"streams": {"a": stream(24), "b": "a", "c": "a"}})
