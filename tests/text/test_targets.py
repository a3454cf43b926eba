"""Text embeddings and targets: losses against formulas in float64, ties, and sums over split batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import batch_of, build, mask_of, randomised, tokens, worst
from tp_core import Model
from tp_core.interfaces import IGNORE, Batch

VOCABULARY, HIDDEN, LENGTH = 41, 16, 8


def model_of(folder: Path, *targets: Any, causal: bool = False, raw: bool = False, **model: Any) -> Model:
    parts = {
        "hidden_size": HIDDEN,
        "vocab_size": VOCABULARY,
        "dropout": 0.0,
        "embedding": ["word", "pos", "seg"],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "mask": "causal" if causal else "fully_visible"}},
        "target": list(targets),
    }
    built = build(folder, parts | model)
    return built if raw else randomised(built)


def inputs(rows: int = 4) -> dict[str, Tensor]:
    mask = mask_of([LENGTH, 5, 6, 3][:rows], LENGTH)
    return {"input_ids": tokens(rows, LENGTH), "token_type_ids": tokens(rows, LENGTH) % 2, "attention_mask": mask}


def dense_labels(rows: int = 4) -> Tensor:
    labels = torch.full((rows, LENGTH), IGNORE)
    for row, places in enumerate([[0, 3, 7], [1], [], [0, 2]][:rows]):
        labels[row, places] = tokens(len(places), seed=row)
    return labels


def gradients(model: Model, batch: Batch) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    model(batch).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def double(model: Model) -> dict[str, Tensor]:
    return {name: w.double() for name, w in model.weights().items()}


@pytest.mark.parametrize("extra", [0, 2])
def test_labels_at_positions_equal_the_same_labels_in_their_places(tmp_path: Path, extra: int) -> None:
    model = model_of(tmp_path, "mlm")
    dense, budget = dense_labels(), 3 + extra
    positions, labels = torch.zeros(4, budget, dtype=torch.long), torch.full((4, budget), IGNORE)
    for row in range(4):
        places = (dense[row] != IGNORE).nonzero().flatten()
        positions[row, : len(places)] = places
        labels[row, : len(places)] = dense[row, places]
    whole = batch_of({"mlm": {"labels": dense}}, **inputs())
    chosen = batch_of({"mlm": {"labels": labels, "positions": positions}}, **inputs())
    first, second = model(whole), model(chosen)
    assert first.loss.item() == pytest.approx(second.loss.item(), abs=1e-6)
    assert first.metrics["mlm/accuracy"] == second.metrics["mlm/accuracy"]
    assert model.denominators(whole).item() == model.denominators(chosen).item() == 6
    left, right = gradients(model, whole), gradients(model, chosen)
    assert left.keys() == right.keys()
    assert max(worst(left[name], right[name]) for name in left) < 1e-6


@pytest.mark.parametrize("embedding_size", [HIDDEN, 10])
@pytest.mark.parametrize("tie", [True, False])
def test_the_masked_language_model_follows_its_formula(tmp_path: Path, tie: bool, embedding_size: int) -> None:
    model = model_of(tmp_path, {"mlm": {"tie": tie}}, embedding_size=embedding_size)
    labels = dense_labels()
    batch = batch_of({"mlm": {"labels": labels}}, **inputs())
    w = double(model)
    x = model.encode(batch).sequence.states.double()
    x = F.gelu(x @ w["targets.mlm.dense.weight"].T + w["targets.mlm.dense.bias"])
    x = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-12)
    x = x * w["targets.mlm.norm.weight"] + w["targets.mlm.norm.bias"]
    matrix = w["embedding.parts.word.table.weight" if tie else "targets.mlm.output.weight"]
    logits = x @ matrix.T + w["targets.mlm.output.bias"]
    wanted = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    output = model(batch)
    assert output.loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    hits = (logits.argmax(-1) == labels)[labels != IGNORE]
    assert output.metrics["mlm/accuracy"].item() == pytest.approx(hits.double().mean().item())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize(("tie", "bias"), [(True, False), (False, True)])
def test_the_language_model_follows_its_formula(
    tmp_path: Path, smoothing: float, z_loss: float, tie: bool, bias: bool
) -> None:
    options = {"label_smoothing": smoothing, "z_loss": z_loss, "tie": tie, "bias": bias}
    model = model_of(tmp_path, {"lm": options}, causal=True)
    labels = tokens(4, LENGTH, seed=3)
    labels[2, 5:] = IGNORE
    batch = batch_of({"lm": {"labels": labels}}, **inputs())
    w = double(model)
    matrix = w["embedding.parts.word.table.weight" if tie else "targets.lm.output.weight"]
    logits = model.encode(batch).sequence.states.double() @ matrix.T
    logits = (logits + w["targets.lm.output.bias"] if bias else logits).flatten(0, 1)
    wanted = F.cross_entropy(logits, labels.flatten(), label_smoothing=smoothing)
    counted = labels.flatten() != IGNORE
    wanted = wanted + z_loss * logits.logsumexp(1).square()[counted].mean()
    assert model(batch).loss.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_sentence_prediction_reads_the_first_token(tmp_path: Path) -> None:
    model = model_of(tmp_path, "sp")
    labels = torch.tensor([0, 1, IGNORE, 1])
    batch = batch_of({"sp": {"labels": labels}}, **inputs())
    w = {name.removeprefix("targets.sp."): value for name, value in double(model).items()}
    x = torch.tanh(model.encode(batch).sequence.states[:, 0].double() @ w["dense.weight"].T + w["dense.bias"])
    logits = x @ w["classifier.weight"].T + w["classifier.bias"]
    output = model(batch)
    assert output.loss.item() == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-5)
    assert output.outputs["sp"].denominator.item() == 3


def test_several_targets_are_summed_with_their_weights_and_add_up_over_split_batches(tmp_path: Path) -> None:
    model = model_of(tmp_path, {"mlm": {"weight": 0.7}}, {"sp": {"weight": 2.0}})
    given, dense, sp = inputs(), dense_labels(), torch.tensor([0, 1, IGNORE, 1])

    def part(start: int, stop: int) -> Batch:
        labels = {"mlm": {"labels": dense[start:stop]}, "sp": {"labels": sp[start:stop]}}
        return batch_of(labels, **{name: value[start:stop] for name, value in given.items()})

    whole, parts = part(0, 4), [part(0, 1), part(1, 3), part(3, 4)]
    output = model(whole)
    assert output.loss.item() == pytest.approx(
        0.7 * output.losses["mlm"].item() + 2.0 * output.losses["sp"].item(), abs=1e-6
    )
    counts = model.denominators(whole)
    assert counts.tolist() == [6, 3] == sum(model.denominators(each) for each in parts).tolist()  # type: ignore[union-attr]
    denominators = dict(zip(model.targets, counts))
    model.zero_grad()
    total = 0.0
    for each in parts:
        loss = model(each, denominators).loss
        loss.backward()
        total += loss.item()
    split = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert total == pytest.approx(output.loss.item(), abs=1e-6)
    once = gradients(model, whole)
    assert max(worst(split[name], once[name]) for name in once) < 1e-6


@pytest.mark.parametrize(("target", "causal"), [("mlm", False), ("lm", True)])
def test_tied_weights_are_one_parameter_drawn_once_by_the_embedding(tmp_path: Path, target: str, causal: bool) -> None:
    word = {"embedding": [{"word": {"init_std": 0.5}}, "pos", "seg"]}
    tied = model_of(tmp_path, {target: {"init_std": 0.01}}, causal=causal, raw=True, **word)
    apart = model_of(tmp_path, {target: {"init_std": 0.01, "tie": False}}, causal=causal, raw=True, **word)
    table = tied.get_parameter("embedding.parts.word.table.weight")
    assert tied.get_parameter(f"targets.{target}.output.weight") is table
    assert f"targets.{target}.output.weight" not in tied.weights()
    assert table.std().item() == pytest.approx(0.5, rel=0.1)
    assert torch.equal(table, apart.weights()["embedding.parts.word.table.weight"])
    assert apart.weights()[f"targets.{target}.output.weight"].std().item() == pytest.approx(0.01, rel=0.1)


def test_a_tied_weight_gets_the_gradients_of_both_its_uses(tmp_path: Path) -> None:
    tied, apart = (model_of(tmp_path, {"mlm": {"tie": tie}}) for tie in (True, False))
    weights = dict(tied.weights())
    weights["targets.mlm.output.weight"] = weights["embedding.parts.word.table.weight"]
    apart.load_weights(weights)
    batch = batch_of({"mlm": {"labels": dense_labels()}}, **inputs())
    together, each = gradients(tied, batch), gradients(apart, batch)
    name = "embedding.parts.word.table.weight"
    assert worst(together[name], each[name] + each["targets.mlm.output.weight"]) < 1e-6


def test_word_embeddings_are_scaled_by_the_root_of_their_width_when_asked(tmp_path: Path) -> None:
    plain, scaled = (
        model_of(tmp_path, "mlm", embedding={"modules": [{"word": {"scale": scale}}], "norm": "none"})
        for scale in (False, True)
    )
    ids = {"input_ids": tokens(2, 5)}
    assert worst(scaled.embedding(ids).states, 4 * plain.embedding(ids).states) < 1e-6


def test_embeddings_are_summed_then_normalised(tmp_path: Path) -> None:
    model = model_of(tmp_path, "mlm")
    given, w = inputs(), double(model)
    x = w["embedding.parts.word.table.weight"][given["input_ids"]]
    x = x + w["embedding.parts.pos.table.weight"][:LENGTH]
    x = x + w["embedding.parts.seg.table.weight"][given["token_type_ids"]]
    x = F.layer_norm(x, (HIDDEN,), w["embedding.norm.weight"], w["embedding.norm.bias"], 1e-12)
    assert worst(model.embedding(given).states, x) < 1e-5


def test_predictions_are_the_most_probable_tokens(tmp_path: Path) -> None:
    model = model_of(tmp_path, "mlm")
    given = inputs(2)
    places = torch.tensor([[2, 7], [1, -1]])
    batch = batch_of({"mlm": {"positions": places, "labels": torch.full((2, 2), IGNORE)}}, **given)
    target: Any = model.targets["mlm"]
    first, second = model.predict(batch)
    assert (len(first["tokens"]), len(second["tokens"])) == (2, 1)
    with torch.no_grad():
        logits = target.output(target.transform(model.encode(batch).sequence.states))
    best = logits[0, 7].softmax(-1).topk(5)
    assert [token["id"] for token in first["tokens"][1]] == best.indices.tolist()
    assert [token["probability"] for token in first["tokens"][1]] == pytest.approx(best.values.tolist())
