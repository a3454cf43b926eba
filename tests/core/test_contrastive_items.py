"""The contrast of two streams knows equal items: what is right for an anchor is not among its negatives."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from tests.core import runs
from tests.core.test_contrastive import batch_of_pairs, model_of, pooled
from tp_core.data.sampling.items import item_id
from tp_core.interfaces import IGNORE
from tp_core.modules.targets.contrastive import joined


def reference(scores: Tensor, items: list[tuple[int, int]], pairs: list[bool], side: int) -> tuple[float, int]:
    """Loss and right answers of all anchors of one side, pair by pair, in float64.

    Args:
        scores: (anchors, candidates).
        items: of each sample in the first and in the second stream.
        pairs: which samples are pairs.
        side: 0 where the first stream asks.
    """
    known = {item for item, pair in zip(items, pairs) if pair}
    loss, correct = 0.0, 0
    for anchor, row in enumerate(scores.double().tolist()):
        if not pairs[anchor]:
            continue
        asked = items[anchor][side]
        right = [
            other == anchor or ((asked, item[1]) if side == 0 else (item[0], asked)) in known
            for other, item in enumerate(items)
        ]
        wrong = [score for score, is_right in zip(row, right) if not is_right]
        loss += math.log(sum(math.exp(score) for score in [row[anchor], *wrong])) - row[anchor]
        correct += right[max(range(len(row)), key=row.__getitem__)]
    return loss, correct


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_the_loss_and_the_accuracies_follow_their_formula(tmp_path: Path, seed: int, symmetric: bool) -> None:
    draws = np.random.default_rng(seed)
    items = [(int(a), int(b)) for a, b in draws.integers(2 + seed % 3, size=(5, 2))]
    pairs = [True, *(draws.random(4) < 0.7).tolist()]
    options = {"symmetric": symmetric, "temperature": 0.5, "learned_temperature": False}
    model = model_of(tmp_path, options)
    batch = batch_of_pairs(labels=torch.tensor([0 if pair else IGNORE for pair in pairs]))
    batch.labels["clr"]["items"] = torch.tensor([(item_id(bytes([a])), item_id(bytes([b]))) for a, b in items])
    u, v = (x / x.norm(dim=1, keepdim=True) for x in pooled(model, batch))
    (there, right), (back, right_back) = (
        reference(scores, items, pairs, side) for side, scores in enumerate((u @ v.t() / 0.5, v @ u.t() / 0.5))
    )
    output = model(batch)
    count = sum(pairs)
    assert output.loss.item() == pytest.approx(((there + back) / 2 if symmetric else there) / count, abs=1e-5)
    assert output.metrics["clr/accuracy_a_to_b"].item() == pytest.approx(right / count)
    assert output.metrics["clr/accuracy_b_to_a"].item() == pytest.approx(right_back / count)
    assert output.metrics["clr/accuracy"].item() == pytest.approx((right + right_back) / (2 * count))


def test_what_is_right_is_what_some_pair_joins() -> None:
    draws = np.random.default_rng(0)
    for _ in range(50):
        size = int(draws.integers(1, 30))
        first, second = draws.integers(draws.integers(1, 12), size=(2, size)) - 4
        pairs = draws.random(size) < 0.8
        known = {(a, b) for a, b, pair in zip(first, second, pairs) if pair}
        found = joined(*map(torch.from_numpy, (first[: size // 2], first, second, pairs)))
        assert found.tolist() == [[(a, b) in known for b in second] for a in first[: size // 2]]


def test_of_different_items_the_loss_and_its_gradients_are_the_very_ones_without_items(tmp_path: Path) -> None:
    found = []
    for items in (None, torch.tensor([[n, -n] for n in range(5)])):
        model, batch = model_of(tmp_path, {"projection_size": 6}), batch_of_pairs()
        if items is not None:
            batch.labels["clr"]["items"] = items
        output = model(batch)
        output.loss.backward()
        found.append([output.loss, *output.metrics.values(), *(p.grad for p in model.parameters())])
    assert len(found[0]) > 20
    assert all(torch.equal(one, other) for one, other in zip(*found))


def test_of_equal_samples_alone_there_is_nothing_to_learn(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), batch_of_pairs()
    batch.labels["clr"]["items"] = torch.ones(5, 2, dtype=torch.int64)
    output = model(batch)
    output.loss.backward()
    assert output.loss.item() == 0
    assert output.metrics["clr/accuracy"].item() == 1
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_identities_are_those_of_contents_in_every_process() -> None:
    ids = np.array([3, 1, 4, 1, 5], dtype=np.int32)
    content = hashlib.blake2b(b"<i4(5,)" + struct.pack("<5i", 3, 1, 4, 1, 5), digest_size=8)
    assert item_id(ids) == struct.unpack("<q", content.digest())[0]
    assert item_id(ids) == item_id(np.repeat(ids, 2)[::2]) == item_id(ids.astype(">i4"))
    others = [item_id(ids[:4]), item_id(ids[::-1]), item_id(ids[:2], ids[2:]), item_id(b"ab"), item_id(b"a", b"b")]
    assert len({item_id(ids), *others}) == 6
    assert all(-(2**63) <= each < 2**63 for each in others)


# -- training ----------------------------------------------------------------------------------------------------

WORDS = [f"w{number}" for number in range(30)]


def project(folder: Path, pairs: list[tuple[str, str]]) -> Path:
    """A project with pairs of texts whose batches of 32 have each pair several times."""
    lines = [json.dumps({"text_a": a, "text_b": b}) for a, b in pairs]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", *WORDS]) + "\n")
    stream = {"embedding": ["word"], "encoder": "identity", "pooling": "mean"}
    spec = {
        "model": {
            "hidden_size": 32,
            "dropout": 0.0,
            "streams": {"a": stream, "b": stream},
            "target": [{"clr": {"temperature": 0.1, "learned_temperature": False}}],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"pair": {"max_length": 8}},
            "train": "pairs.jsonl",
            "eval": "pairs.jsonl",
            "cache": "cache",
        },
        "train": {
            "steps": 60,
            "batch_size": 32,
            "eval_every": 60,
            "log_every": 1,
            "loggers": [],
            "device": "cpu",
            "optimizer": {"adamw": {"lr": 0.03}},
            "schedule": "constant",
        },
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


def last(run: Path) -> dict[str, Any]:
    return [line for line in runs.metrics(run) if "loss" in line][-1]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("items"), [(WORDS[n], WORDS[n + 10]) for n in range(10)])


def test_batches_that_reach_over_the_end_of_epochs_can_be_learned(home: Path) -> None:
    runs.train(home, "--run", "one")
    assert last(home / "one")["clr/accuracy"] == 1.0
    assert last(home / "one")["loss"] < 0.05


def test_two_processes_know_each_others_items(home: Path) -> None:
    runs.train(home, "--run", "single", "train.steps=20")
    runs.train_pair(home, "--run", "pair", "train.steps=20")
    one, two = runs.metrics(home / "single"), runs.metrics(home / "pair")
    assert two == [pytest.approx(line, rel=1e-4) for line in one]
    assert last(home / "pair")["clr/accuracy"] == 1.0


def test_several_captions_of_one_picture_can_all_be_found(tmp_path: Path) -> None:
    home = project(tmp_path, [(WORDS[n // 3], WORDS[n + 10]) for n in range(15)])
    runs.train(home, "--run", "run")
    held_out = [line for line in runs.metrics(home / "run") if "eval/loss" in line][-1]
    for found in (last(home / "run"), {name.removeprefix("eval/"): value for name, value in held_out.items()}):
        assert found["clr/accuracy_a_to_b"] == found["clr/accuracy_b_to_a"] == 1.0
        assert found["loss/clr"] < 0.1
