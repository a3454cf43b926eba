"""Skip-gram with negative sampling against its formula in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import build, randomised, tokens
from tp_core import Model, TPError
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module

VOCABULARY, SIZE, LENGTH = 23, 6, 5


def model_of(folder: Path, raw: bool = False, **options: Any) -> Model:
    parts = {
        "hidden_size": SIZE,
        "vocab_size": VOCABULARY,
        "embedding": {"modules": ["word"], "norm": "none", "dropout": 0.0},
        "encoder": "identity",
        "target": [{"sgns": options}],
    }
    built = build(folder, parts)
    return built if raw else randomised(built, std=0.5)


def batch_of_windows(high: int = VOCABULARY) -> Batch:
    context = tokens(2, LENGTH, 4, high=high, seed=1)
    context[0, 0, :2] = context[1, 3:] = context[1, 0, 1] = IGNORE
    negatives = tokens(2, LENGTH, 3, high=VOCABULARY, seed=2)
    negatives[1, 1, 2] = negatives[1, 2] = IGNORE
    ids = {"input_ids": tokens(2, LENGTH, high=VOCABULARY)}
    return Batch.of(ids, 2, labels={"sgns": {"context": context, "negatives": negatives}})


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


@pytest.mark.parametrize("buckets", [0, 9])
def test_the_loss_follows_its_formula_pair_by_pair(tmp_path: Path, buckets: int) -> None:
    model, batch = model_of(tmp_path, ngram_buckets=buckets), batch_of_windows(VOCABULARY + buckets)
    weights = model.weights()
    words = weights["embedding.parts.word.table.weight"].double()
    output = weights["targets.sgns.output.weight"].double()
    assert output.shape == (VOCABULARY + buckets, SIZE)
    total, pairs, best, skipped = torch.zeros(()).double(), 0, 0, 0
    labels = batch.labels["sgns"]
    for row in range(2):
        for place in range(LENGTH):
            v = words[batch.inputs["input_ids"][row, place]]
            for c in labels["context"][row, place].tolist():
                if c == IGNORE:
                    continue
                # word2vec.c goes on to the next draw where a random word is the one to be predicted.
                kept = [n for n in labels["negatives"][row, place].tolist() if n not in (IGNORE, c)]
                drawn, skipped = [output[n] @ v for n in kept], skipped + (c in labels["negatives"][row, place])
                total = total - sigmoid(output[c] @ v).log() - sum(sigmoid(-n).log() for n in drawn)
                best += all(output[c] @ v > n for n in drawn)
                pairs += 1
    found = model(batch)
    assert pairs == 40 - 2 - 8 - 1 == model.denominators(batch).item()
    assert skipped > 0
    assert found.loss.item() == pytest.approx((total / pairs).item(), abs=1e-5)
    assert found.metrics["sgns/accuracy"].item() == pytest.approx(best / pairs)


def test_the_output_table_starts_at_zero_and_the_words_do_not(tmp_path: Path) -> None:
    model = model_of(tmp_path, raw=True)
    assert not model.weights()["targets.sgns.output.weight"].any()
    assert model.weights()["embedding.parts.word.table.weight"].std() > 0.01
    batch = batch_of_windows(high=VOCABULARY - 3)
    batch.labels["sgns"]["negatives"] = torch.arange(VOCABULARY - 3, VOCABULARY).expand(2, LENGTH, 3)
    assert model(batch).loss.item() == pytest.approx(4 * torch.tensor(2.0).log().item(), abs=1e-6)


def test_words_that_occur_together_become_alike(tmp_path: Path) -> None:
    """Even words stand beside even ones, odd beside odd."""
    model = model_of(tmp_path, raw=True)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        words = torch.randint(20, (16, LENGTH), generator=generator)
        around = torch.randint(10, (16, LENGTH, 2), generator=generator) * 2 + words.unsqueeze(-1) % 2
        negatives = torch.randint(20, (16, LENGTH, 5), generator=generator)
        labels = {"sgns": {"context": around, "negatives": negatives}}
        optimizer.zero_grad()
        model(Batch.of({"input_ids": words}, 16, labels=labels)).loss.backward()
        optimizer.step()
    table = torch.nn.functional.normalize(model.weights()["embedding.parts.word.table.weight"][:20], dim=1)
    cosine = table @ table.t()
    same = torch.arange(20) % 2 == torch.arange(20).unsqueeze(1) % 2
    assert cosine[same].mean() > cosine[~same].mean() + 0.5


def test_it_makes_no_predictions_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(TPError, match="no target of this model makes predictions: sgns"):
        model_of(tmp_path).predict(batch_of_windows())


def test_the_target_conforms() -> None:
    check_module("sgns", "target", {"ngram_buckets": 3}, unused=["targets.sgns.output"])
