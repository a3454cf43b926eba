"""Hard negatives in the contrast of two streams: the formula of supervised SimCSE, equal items, several processes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from tests.building import build, mask_of, randomised, tokens
from tests.core import runs
from tests.core.test_similarity import stream
from tp_core import Model, TPError, build_model, load_spec
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module

FIXED = {"learned_temperature": False, "temperature": 0.5}


def model_of(folder: Path, options: dict[str, Any], seed: int = 0, streams: Any = None) -> Model:
    own = streams or {"a": stream(pooling="mean"), "b": "a", "hard": "a"}
    return randomised(build(folder, {"vocab_size": 41, "streams": own, "target": [{"clr": options}]}), seed)


def batch_of(rows: int = 5, seed: int = 0, labels: Tensor | None = None, items: Any = None) -> Batch:
    source = {name: {"input_ids": tokens(rows, 6, seed=seed + n)} for n, name in enumerate(("a", "b", "hard"))}
    source["hard"]["attention_mask"] = mask_of([6, 2, 3, 6, 1, 4, 5][:rows], 6)
    clr = {"labels": torch.zeros(rows).long() if labels is None else labels}
    if items is not None:
        clr["items"] = torch.tensor(items)
    return Batch(source, rows, labels={"clr": clr})


def vectors(model: Model, batch: Batch) -> list[Tensor]:
    """Vectors of length 1 in float64."""
    made = []
    for name, sequence in model.encode(batch).streams.items():
        mask = batch.source[name].get("attention_mask", torch.ones(batch.size, 6)).double().unsqueeze(-1)
        mean = (sequence.states.double() * mask).sum(1) / mask.sum(1)
        made.append(mean / mean.square().sum(1, keepdim=True).sqrt())
    return made


def reference(
    asking: Tensor, answers: Tensor, items: Any, pairs: list[bool], hard: Tensor | None = None, alpha: float = 1.0
) -> tuple[float, int]:
    """Loss and right answers of one direction, pair by pair, in float64 (Gao et al., 2021).

    Args:
        items: of each sample, the item that asks, its answer and its hard negative.
    """
    known = {(item[0], item[1]) for item, pair in zip(items, pairs) if pair}
    loss, correct = 0.0, 0
    for i in range(len(asking)):
        if not pairs[i]:
            continue
        own = (asking[i] @ answers[i]).item() / 0.5
        total, scores = math.exp(own), [(own, True)]
        for j in range(len(answers)):
            others = [] if j == i else [(answers[j], items[j][1], 1.0)]
            if hard is not None:
                others.append((hard[j], items[j][2], alpha if j == i else 1.0))
            for vector, item, weight in others:
                score, right = math.log(weight) + (asking[i] @ vector).item() / 0.5, (items[i][0], item) in known
                total += 0.0 if right else math.exp(score)
                scores.append((score, right))
        loss += math.log(total) - own
        correct += max(scores)[1]
    return loss, correct


@pytest.mark.parametrize("alpha", [1.0, 3.0])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_loss_and_the_accuracies_follow_their_formula(
    tmp_path: Path, seed: int, symmetric: bool, alpha: float
) -> None:
    draws = np.random.default_rng(seed)
    items = draws.integers(3 + 2 * seed, size=(5, 3)).tolist()
    pairs = [True, *(draws.random(4) < 0.7).tolist()]
    labels = torch.tensor([0 if pair else IGNORE for pair in pairs])
    model = model_of(tmp_path, {**FIXED, "symmetric": symmetric, "hard_negative_weight": alpha}, seed)
    batch = batch_of(seed=seed, labels=labels, items=items)
    u, v, hard = vectors(model, batch)
    there, right = reference(u, v, items, pairs, hard, alpha)
    back, right_back = reference(v, u, [(b, a) for a, b, _ in items], pairs)
    output, count = model(batch), sum(pairs)
    wanted = (there + back) / 2 if symmetric else there
    assert output.loss.item() == pytest.approx(wanted / count, abs=1e-5)
    assert output.metrics["clr/accuracy_a_to_b"].item() == pytest.approx(right / count)
    assert output.metrics["clr/accuracy_b_to_a"].item() == pytest.approx(right_back / count)


def test_without_items_the_loss_is_that_of_the_paper_for_the_whole_batch(tmp_path: Path) -> None:
    """``-log(exp(s(i, i)) / Σ_j (exp(s(i, j)) + α^[i = j] exp(h(i, j))))``."""
    alpha = 2.5
    model = model_of(tmp_path, {**FIXED, "symmetric": False, "hard_negative_weight": alpha})
    batch = batch_of()
    u, v, hard = vectors(model, batch)
    s, h = (u @ v.t() / 0.5).exp(), (u @ hard.t() / 0.5).exp()
    weights = torch.ones(5, 5).double().fill_diagonal_(alpha)
    wanted = -(s.diagonal() / (s + weights * h).sum(1)).log().mean()
    assert model(batch).loss.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_a_batch_without_the_third_stream_has_no_hard_negatives(tmp_path: Path) -> None:
    three, batch = model_of(tmp_path, FIXED), batch_of()
    two = model_of(tmp_path, FIXED, streams={"a": stream(pooling="mean"), "b": "a"})
    with_them = three(batch).loss.item()
    del batch.source["hard"]
    assert three(batch).loss.item() == two(batch).loss.item() < with_them


def test_hard_negatives_are_projected_like_the_second_stream(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {**FIXED, "projection_size": 6, "symmetric": False}), batch_of()
    w = {name: value.double() for name, value in model.weights().items()}
    assert {name for name in w if "projections" in name} == {f"targets.clr.projections.{n}.weight" for n in (0, 1)}
    target: Any = model.targets["clr"]
    streams = model.encode(batch).streams
    made = []
    for name, number in (("a", 0), ("b", 1), ("hard", 1)):
        pooled = streams[name].pooled("mean").double() @ w[f"targets.clr.projections.{number}.weight"].t()
        made.append(pooled / pooled.square().sum(1, keepdim=True).sqrt())
        assert torch.allclose(target.vector(name, streams[name]).double(), made[-1], atol=1e-5)
    there, _ = reference(made[0], made[1], [(n, n, -n - 1) for n in range(5)], [True] * 5, made[2])
    assert model(batch).loss.item() == pytest.approx(there / 5, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "streams", "message"),
    [
        (
            {"hard_negative_weight": 2.0},
            {"a": stream(), "b": "a"},
            "hard_negative_weight: weights the texts of a third stream; the model has two streams",
        ),
        (
            {"projection_size": 4},
            {"a": stream(), "b": "a", "c": stream(8)},
            "clr: projects the last two streams alike, but the streams have different widths, 16 ('a')",
        ),
        ({}, {"a": stream(), "b": "a", "c": stream(8)}, "clr.projection_size: is required"),
        ({"stream": "a"}, None, "clr.stream: is for a target that reads one stream"),
    ],
)
def test_hard_negatives_that_cannot_be_are_refused(
    tmp_path: Path, options: dict[str, Any], streams: Any, message: str
) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, options, streams=streams)
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"projection_size": 6, "hard_negative_weight": 0.5}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    streams = {"streams": {"a": stream(24), "b": "a", "c": "a"}}
    check_module("clr", "target", options, model=streams, independent=False)


# -- two processes --------------------------------------------------------------------------------------------------


def test_two_processes_have_the_gradients_and_losses_of_one(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("pair_rows.py"), tmp_path)
    draws = np.random.default_rng(0)
    rows = [
        {name: draws.integers(41, size=4).tolist() for name in ("a", "b", "hard")} | {"label": 0 if n % 3 else IGNORE}
        for n in range(24)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {
        "model": {
            "vocab_size": 41,
            "streams": {"a": stream(pooling="mean"), "b": "a", "hard": "a"},
            "target": [{"clr": {"projection_size": 6, "temperature": 0.5, "hard_negative_weight": 2.0}}],
        },
        "data": {"processor": {"pair_rows:Config": {"hard": True}}, "train": "pairs.jsonl", "cache": "cache"},
        "train": {
            "steps": 1,
            "batch_size": 8,
            "log_every": 1,
            "loggers": [],
            "device": "cpu",
            "clip_norm": None,
            # So long a step that the weights before do not matter: what was learned is the gradient.
            "optimizer": {"sgd": {"lr": 1e4, "momentum": 0.0, "weight_decay": 0.0}},
            "schedule": "constant",
        },
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    runs.train(tmp_path, "--run", "one")
    runs.train_pair(tmp_path, "--run", "two")
    one, two = runs.metrics(tmp_path / "one"), runs.metrics(tmp_path / "two")
    assert two == [pytest.approx(line, rel=1e-4) for line in one]
    before = build_model(load_spec(tmp_path / "spec.yaml")).weights()
    first, second = runs.weights(tmp_path / "one"), runs.weights(tmp_path / "two")
    for name, start in before.items():
        wanted = (start - first[name]) / 1e4
        assert ((start - second[name]) / 1e4 - wanted).norm() <= 1e-5 * max(wanted.norm().item(), 1e-2), name
