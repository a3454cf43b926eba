"""The contrast of two streams: its formula, its temperature, and that it is the same on one process and on two."""

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
from torch.nn import functional as F

from tests.building import CONTENT, build, mask_of, randomised, tokens
from tests.core import runs
from tp_core import Model, TPError, build_model, load_spec
from tp_core.interfaces import IGNORE, Batch
from tp_core.spec.checks.run import check_run
from tp_core.testing import check_module


def stream(hidden: int = 16, **options: Any) -> dict[str, Any]:
    transformer = {"num_layers": 1, "num_heads": 2, "hidden_size": hidden, "dropout": 0.0}
    return {"embedding": {"modules": [CONTENT], "dropout": 0.0}, "encoder": {"transformer": transformer}, **options}


def model_of(folder: Path, clr: dict[str, Any], b: Any = None, **parts: Any) -> Model:
    """Streams ``a`` (pooled by their mean) and ``b``."""
    streams = {"a": stream(pooling="mean"), "b": b or stream(pooling="max")}
    return randomised(build(folder, {"vocab_size": 41, "streams": streams, "target": [{"clr": clr}], **parts}))


def batch_of_pairs(rows: int = 5, labels: Tensor | None = None) -> Batch:
    mask = mask_of([6, 3, 4, 6, 1][:rows], 6)
    source = {
        "a": {"input_ids": tokens(rows, 6), "attention_mask": mask},
        "b": {"input_ids": tokens(rows, 4, seed=1)},
    }
    return Batch(source, rows, labels={"clr": {"labels": torch.zeros(rows).long() if labels is None else labels}})


def pooled(model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    """The streams' vectors in float64, by the definition of their poolings."""
    streams = model.encode(batch).streams
    mask = batch.source["a"]["attention_mask"].double().unsqueeze(-1)
    first = (streams["a"].states.double() * mask).sum(1) / mask.sum(1)
    return first, streams["b"].states.double().amax(1)


# -- one process ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("learned", [True, False])
def test_the_loss_follows_its_formula(tmp_path: Path, normalize: bool, symmetric: bool, learned: bool) -> None:
    options = {"normalize": normalize, "symmetric": symmetric, "learned_temperature": learned, "temperature": 0.5}
    model, batch = model_of(tmp_path, options), batch_of_pairs()
    u, v = pooled(model, batch)
    if normalize:
        u, v = (x / x.square().sum(1, keepdim=True).sqrt() for x in (u, v))
    scores = u @ v.t() * (model.weights()["targets.clr.logit_scale"].double().exp() if learned else 2.0)
    each = -scores.log_softmax(1).diagonal()
    if symmetric:
        each = (each - scores.log_softmax(0).diagonal()) / 2
    output = model(batch)
    assert output.loss.item() == pytest.approx(each.mean().item(), abs=1e-5)
    own = torch.arange(5)
    there, back = ((scores.argmax(dim) == own).double().mean().item() for dim in (1, 0))
    assert output.metrics["clr/accuracy_a_to_b"].item() == pytest.approx(there)
    assert output.metrics["clr/accuracy_b_to_a"].item() == pytest.approx(back)
    assert output.metrics["clr/accuracy"].item() == pytest.approx((there + back) / 2)


def test_the_loss_is_that_of_clip_with_projections_between_streams_of_different_widths(tmp_path: Path) -> None:
    from transformers.models.clip.modeling_clip import contrastive_loss

    model, batch = model_of(tmp_path, {"projection_size": 10}, b=stream(hidden=8, pooling="max")), batch_of_pairs()
    u, v = pooled(model, batch)
    w = {name: value.double() for name, value in model.weights().items()}
    u, v = u @ w["targets.clr.projections.0.weight"].t(), v @ w["targets.clr.projections.1.weight"].t()
    assert (u.shape, v.shape) == ((5, 10), (5, 10))
    scores = F.normalize(u, dim=1) @ F.normalize(v, dim=1).t() * w["targets.clr.logit_scale"].exp()
    wanted = (contrastive_loss(scores) + contrastive_loss(scores.t())) / 2
    assert model(batch).loss.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_samples_that_are_no_anchors_remain_negatives(tmp_path: Path) -> None:
    model = model_of(tmp_path, {"learned_temperature": False, "temperature": 0.5})
    batch = batch_of_pairs(labels=torch.tensor([3, IGNORE, 0, IGNORE, 1]))
    u, v = (F.normalize(x, dim=1) for x in pooled(model, batch))
    scores = u @ v.t() / 0.5
    each = -(scores.log_softmax(1).diagonal() + scores.log_softmax(0).diagonal()) / 2
    assert model(batch).loss.item() == pytest.approx(each[[0, 2, 4]].mean().item(), abs=1e-5)
    assert model.denominators(batch).tolist() == [3]


def test_two_passes_of_one_shared_stream_differ_by_their_dropout_only(tmp_path: Path) -> None:
    model = model_of(tmp_path, {"temperature": 0.05, "learned_temperature": False}, b="a")
    ids = {"input_ids": tokens(4, 6)}
    batch = Batch({"a": ids, "b": ids}, 4, labels={"clr": {"labels": torch.zeros(4).long()}})
    assert [x["similarity"] for x in model.predict(batch)] == pytest.approx([1.0] * 4, abs=1e-6)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    assert model.train().predict(batch)[0]["similarity"] < 0.999


def test_the_learned_temperature_starts_as_given_and_ends_at_one_hundredth(tmp_path: Path) -> None:
    model = build(tmp_path, {"streams": {"a": stream(), "b": stream()}, "vocab_size": 41, "target": ["clr"]})
    parameter = model.get_parameter("targets.clr.logit_scale")
    assert parameter.item() == pytest.approx(math.log(1 / 0.07), abs=1e-6)
    with torch.no_grad():
        parameter.fill_(7.0)
    target: Any = model.targets["clr"]
    assert target.scale().item() == pytest.approx(100, rel=1e-5)
    model.train()(batch_of_pairs()).loss.backward()
    assert parameter.item() == pytest.approx(math.log(100), abs=1e-6)
    assert parameter.grad is not None
    assert parameter.grad.item() != 0  # or else it could never come back


def test_pairs_are_predicted_by_their_similarity(tmp_path: Path) -> None:
    for normalize in (True, False):
        model, batch = model_of(tmp_path, {"normalize": normalize}), batch_of_pairs()
        u, v = pooled(model, batch)
        wanted = F.cosine_similarity(u, v) if normalize else (u * v).sum(1)
        found = torch.tensor([each["similarity"] for each in model.predict(batch)])
        assert torch.allclose(found.double(), wanted, atol=1e-5)


def test_a_pair_without_its_second_half_has_no_prediction(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), batch_of_pairs()
    del batch.source["b"]
    with pytest.raises(TPError, match="the records have nothing for the stream 'b', which the predictions need"):
        model.predict(batch)


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ({}, "model.target.clr: compares two streams (model.streams), or three with hard negatives in the last; this"),
        ({"a": stream(), "b": "a", "c": "a", "d": "a"}, "hard negatives in the last; this one has a, b, c, d"),
        (
            {"a": stream(16), "b": stream(8)},
            "clr.projection_size: is required: the streams have different widths, 16 ('a') and 8 ('b')",
        ),
    ],
)
def test_streams_that_cannot_be_compared_are_refused(tmp_path: Path, streams: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError) as caught:
        build(tmp_path, {"vocab_size": 41, "target": ["clr"], **({"streams": streams} if streams else stream())})
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"projection_size": 6, "normalize": False, "learned_temperature": False}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    streams = {"streams": {"a": stream(24), "b": stream(24)}}
    check_module("clr", "target", options, model=streams, independent=False)


# -- two processes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with pairs of rows of ids, some of them without a label."""
    folder = tmp_path_factory.mktemp("contrast")
    shutil.copy(Path(__file__).with_name("pair_rows.py"), folder)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        a, b = rng.integers(41, size=5).tolist(), rng.integers(41, size=4).tolist()
        rows.append({"a": a, "b": b, "label": 0 if number % 3 else IGNORE})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {
        "model": {
            "vocab_size": 41,
            "streams": {"a": stream(pooling="mean"), "b": stream()},
            "target": [{"clr": {"projection_size": 6, "temperature": 0.5}}],
        },
        "data": {"processor": "pair_rows:Config", "train": "pairs.jsonl", "cache": "cache"},
        "train": {
            "steps": 6,
            "batch_size": 8,
            "log_every": 1,
            "loggers": [],
            "device": "cpu",
            "clip_norm": None,
            "optimizer": {"adamw": {"lr": 0.01}},
            "schedule": "constant",
        },
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


#: One step so long that the weights before do not matter: what was learned is the gradient.
GRADIENT = ["train.steps=1", "train.optimizer={sgd: {lr: 1e4, momentum: 0.0, weight_decay: 0.0}}"]


def gradients(home: Path, run: str) -> dict[str, Tensor]:
    before, after = build_model(load_spec(home / "spec.yaml")).weights(), runs.weights(home / run)
    return {name: (before[name] - after[name]) / 1e4 for name in before}


def test_two_processes_have_the_gradients_of_one(home: Path) -> None:
    runs.train(home, "--run", "one", *GRADIENT)
    runs.train_pair(home, "--run", "two", *GRADIENT)
    one, two = gradients(home, "one"), gradients(home, "two")
    assert len(one) > 20
    for name, wanted in one.items():
        assert (two[name] - wanted).norm() <= 1e-5 * max(wanted.norm().item(), 1e-2), name
    assert one["targets.clr.logit_scale"].abs() > 1e-4
    assert one["targets.clr.projections.1.weight"].norm() > 1e-2


def test_two_processes_have_the_losses_and_accuracies_of_one(home: Path) -> None:
    runs.train(home, "--run", "one-long")
    runs.train_pair(home, "--run", "two-long")
    one, two = runs.metrics(home / "one-long"), runs.metrics(home / "two-long")
    assert len(one) == 6
    assert {"clr/accuracy", "clr/accuracy_a_to_b", "clr/accuracy_b_to_a", "loss/clr"} <= one[0].keys()
    assert two == [pytest.approx(line, rel=1e-4) for line in one]
    assert one[-1]["loss"] != pytest.approx(one[0]["loss"], rel=1e-3)


@pytest.mark.parametrize("sizes", [["train.batch_size=1"], ["train.batch_size=4", "train.accumulate=4"]])
def test_a_single_sample_has_nothing_to_be_told_from(home: Path, sizes: list[str]) -> None:
    with pytest.raises(TPError, match=r"train\.batch_size: is \d, in \d × 1; the target 'clr' learns from 2"):
        check_run(load_spec(home / "spec.yaml", overrides=sizes))


def test_each_micro_batch_is_a_pool_of_its_own(home: Path) -> None:
    runs.train(home, "--run", "micro", "train.accumulate=4", "train.steps=1")
    runs.train(home, "--run", "whole", "train.steps=1")
    micro, whole = (runs.metrics(home / run)[0]["loss"] for run in ("micro", "whole"))
    assert micro < whole - 0.5  # fewer negatives are easier
