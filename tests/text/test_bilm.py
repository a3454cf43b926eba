"""The bidirectional language model against its formula in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.building import build, mask_of, randomised, tokens, worst
from tp_core import Model, TPError
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module

VOCABULARY = 41


def model_of(folder: Path, bilm: dict[str, Any], encoder: Any = None, **model: Any) -> Model:
    parts = {
        "hidden_size": 16,
        "vocab_size": VOCABULARY,
        "dropout": 0.0,
        "embedding": ["word"],
        "encoder": encoder or {"bilstm": {"num_layers": 2}},
        "target": [{"bilm": bilm}],
    }
    return randomised(build(folder, parts | model))


def batch_of_texts(width: int = 7) -> Batch:
    """Each position's neighbours, where there are any; the two directions have different numbers of labels."""
    lengths = [width, 4, 1]
    ids, mask = tokens(3, width, high=VOCABULARY), mask_of(lengths, width)
    labels = {name: torch.full((3, width), IGNORE) for name in ("forward", "backward")}
    for row, length in enumerate(lengths):
        labels["forward"][row, : length - 1] = ids[row, 1:length]
        labels["backward"][row, 1:length] = ids[row, : length - 1]
    labels["backward"][0, 3] = IGNORE
    return Batch.of({"input_ids": ids, "attention_mask": mask}, 3, labels={"bilm": labels})


@pytest.mark.parametrize(
    ("options", "model"),
    [({}, {}), ({"bias": False}, {}), ({"tie": True}, {"embedding_size": 8}), ({"weight": 0.5}, {})],
)
def test_both_directions_are_predicted_by_one_output_matrix(
    tmp_path: Path, options: dict[str, Any], model: dict[str, Any]
) -> None:
    built, batch = model_of(tmp_path, options, **model), batch_of_texts()
    w = {name: value.double() for name, value in built.weights().items()}
    tied = options.get("tie", False)
    matrix = w["embedding.parts.word.table.weight" if tied else "targets.bilm.output.weight"]
    assert matrix.shape == (VOCABULARY, 8)
    assert ("targets.bilm.output.weight" in w) == (not tied)
    bias = w["targets.bilm.output.bias"] if options.get("bias", True) else 0.0
    states = built.encode(batch).sequence.states.double()
    total, count, hits = torch.zeros(()), 0, {}
    for direction, half in (("forward", states[..., :8]), ("backward", states[..., 8:])):
        labels = batch.labels["bilm"][direction].flatten()
        logits = (half @ matrix.t() + bias).flatten(0, 1)
        total = total + F.cross_entropy(logits, labels, reduction="sum")
        hits[direction] = (logits.argmax(1) == labels)[labels != IGNORE].double()
        count += len(hits[direction])
    output = built(batch)
    assert count == 17 == built.denominators(batch).item()
    assert output.losses["bilm"].item() == pytest.approx((total / count).item(), abs=1e-5)
    assert output.loss.item() == pytest.approx((total / count).item() * options.get("weight", 1.0), abs=1e-5)
    for direction, found in hits.items():
        assert output.metrics[f"bilm/accuracy_{direction}"].item() == pytest.approx(found.mean().item())
    assert output.metrics["bilm/accuracy"].item() == pytest.approx(torch.cat([*hits.values()]).mean().item())


def test_a_text_has_the_same_loss_alone_as_beside_longer_ones(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), batch_of_texts()
    labels = {name: value[1:2, :4] for name, value in batch.labels["bilm"].items()}
    alone = Batch.of({"input_ids": batch.inputs["input_ids"][1:2, :4]}, 1, labels={"bilm": labels})
    others = Batch(batch.source, 3, labels={"bilm": {n: v.clone() for n, v in batch.labels["bilm"].items()}})
    for value in others.labels["bilm"].values():
        value[[0, 2]] = IGNORE
    assert model(alone).loss.item() == pytest.approx(model(others).loss.item(), abs=1e-5)


def test_predictions_are_the_tokens_after_the_text_and_before_it(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path, {}), batch_of_texts()
    states = model.encode(batch).sequence.states
    output: Any = model.targets["bilm"].output
    found = model.predict(batch)[1]
    assert found["next"][0]["id"] == output(states[1, 3, :8]).argmax().item()
    assert found["previous"][0]["id"] == output(states[1, 0, 8:]).argmax().item()
    best = output(states[1, 3, :8]).softmax(-1).topk(5).values
    assert worst(torch.tensor([each["probability"] for each in found["next"]]), best) < 1e-6


@pytest.mark.parametrize(
    ("bilm", "encoder", "message"),
    [
        ({}, {"transformer": {"num_layers": 1, "num_heads": 2}}, "needs two_directions states"),
        ({"tie": True}, None, "bilm.tie: tied weights need equal widths: the embedding's is 16, one direction's 8"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, bilm: dict[str, Any], encoder: Any, message: str) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, bilm, encoder)
    assert message in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"tie": True, "bias": False}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    size = {"embedding_size": 12} if options else {}
    check_module("bilm", "target", options, model={"encoder": {"bilstm": {"num_layers": 1}}, **size})
