"""The regression of the similarity of two streams: its formulas, its correlations, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from tests.building import CONTENT, build, mask_of, randomised, tokens
from tp_core import Model, TPError
from tp_core.interfaces import Batch, Joined
from tp_core.testing import check_module


def stream(hidden: int = 16, **options: Any) -> dict[str, Any]:
    transformer = {"num_layers": 1, "num_heads": 2, "hidden_size": hidden, "dropout": 0.0}
    return {"embedding": {"modules": [CONTENT], "dropout": 0.0}, "encoder": {"transformer": transformer}, **options}


def model_of(folder: Path, options: dict[str, Any], seed: int = 0, std: float = 0.2, **streams: Any) -> Model:
    own = streams or {"a": stream(pooling="mean"), "b": stream(pooling="max")}
    parts = {"vocab_size": 41, "streams": own, "target": [{"similarity": options}]}
    return randomised(build(folder, parts), seed, std)


def pairs(rows: int = 6, seed: int = 0) -> Batch:
    labels = torch.rand(rows, generator=torch.Generator().manual_seed(seed))
    source = {
        "a": {
            "input_ids": tokens(rows, 7, seed=seed),
            "attention_mask": mask_of([7, 2, 4, 1, 7, 3, 5, 6][:rows], 7),
        },
        "b": {"input_ids": tokens(rows, 4, seed=seed + 1)},
    }
    return Batch(source, rows, labels={"similarity": {"labels": labels}})


def vectors(model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    """The streams' vectors in float64, by the definition of their poolings."""
    streams = model.encode(batch).streams
    mask = batch.source["a"]["attention_mask"].double().unsqueeze(-1)
    u = (streams["a"].states.double() * mask).sum(1) / mask.sum(1)
    return u, streams["b"].states.double().amax(1)


FORMULAS: dict[str, Any] = {
    "cosine": lambda u, v: (u * v).sum(1) / (u.square().sum(1).sqrt() * v.square().sum(1).sqrt()),
    "exp_l1": lambda u, v: torch.exp(-(u - v).abs().sum(1)),
    "dot": lambda u, v: (u * v).sum(1),
}


@pytest.mark.parametrize("rows", [2, 6])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by", FORMULAS)
def test_the_loss_and_the_correlations_follow_their_formulas(tmp_path: Path, by: str, seed: int, rows: int) -> None:
    model, batch = model_of(tmp_path, {"by": by}, seed, std=0.05), pairs(rows, seed)
    found = FORMULAS[by](*vectors(model, batch))
    wanted = batch.labels["similarity"]["labels"].double()
    output = model(batch)
    assert output.loss.item() == pytest.approx((found - wanted).square().mean().item(), rel=1e-5, abs=1e-6)
    assert output.outputs["similarity"].denominator.item() == rows
    similarities = torch.tensor([each["similarity"] for each in model.predict(batch)])
    assert torch.allclose(similarities.double(), found, rtol=1e-5, atol=1e-6)
    config = model.spec.model.targets[0].config
    for name, reference in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        state = output.outputs["similarity"].metrics[name]
        assert isinstance(state, Joined)
        measured = config.measures(None)[name].compute(*(column.numpy() for column in state.columns))
        assert measured == pytest.approx(reference(found.detach().numpy(), wanted.numpy()).statistic, abs=1e-5)


def test_pairs_of_equal_texts_are_similar_and_can_be_trained(tmp_path: Path) -> None:
    for by in ("cosine", "exp_l1"):
        model = model_of(tmp_path, {"by": by}, a=stream(pooling="mean"), b="a")
        ids = {"input_ids": tokens(3, 5)}
        batch = Batch({"a": ids, "b": ids}, 3, labels={"similarity": {"labels": torch.zeros(3)}})
        assert [each["similarity"] for each in model.predict(batch)] == pytest.approx([1.0] * 3, abs=1e-6)
        model.train()(batch).loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "streams", "message"),
    [
        ({}, {"a": stream(), "b": "a", "c": "a"}, "similarity: compares exactly two streams (model.streams); this one"),
        ({}, {"a": stream(16), "b": stream(8)}, "compares vectors of equal width, but the streams have different wid"),
        ({"by": "cos"}, {}, "similarity.by"),
        ({"stream": "a"}, {}, "similarity.stream: is for a target that reads one stream"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, options: dict[str, Any], streams: dict[str, Any], message: str
) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, options, **streams)
    assert message in str(caught.value)


def test_a_model_without_streams_has_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(TPError, match=r"compares exactly two streams \(model\.streams\); this one has none"):
        build(tmp_path, {"vocab_size": 41, **stream(), "target": ["similarity"]})


@pytest.mark.parametrize("options", [{}, {"by": "exp_l1"}, {"by": "dot", "pooling": "mean"}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    check_module("similarity", "target", options, model={"streams": {"a": stream(24), "b": stream(24)}})
