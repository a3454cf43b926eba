"""Gradients: every weight has one, recomputing activations changes none, targets add up over split batches."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import CONTENT, attention, batch_of, build, encoder_model, mask_of, randomised, tokens, worst
from tp_core import Model
from tp_core.interfaces import IGNORE, Batch


def gradients(model: Model, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    model.train()
    model.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    model(batch).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


OPTIONS: list[dict[str, Any]] = [
    {"mask": mask, **attention(positions=positions, residual=residual)}
    for mask, positions, residual in itertools.product(
        ["fully_visible", "causal"], ["rotary", "relative", "alibi"], [False, True]
    )
] + [
    {"share_layers": True, "hidden_size": 24, "num_heads": 4},
    {"feed_forward": {"gated": {"activation": "silu"}}, "norm": "rmsnorm", "norm_position": "pre"},
    {"mask": "causal", **attention(num_key_value_heads=2)},
    {"norm_position": "both", "parallel": True, **attention(query_key_norm="rmsnorm", soft_cap=2.0, window=3)},
]


def _name(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


@pytest.mark.parametrize("options", OPTIONS, ids=_name)
def test_every_weight_gets_a_gradient(tmp_path: Path, options: dict[str, Any]) -> None:
    model = encoder_model(tmp_path, options, embedding=["pos"])
    mask = mask_of([8, 5], 8)
    found = gradients(model, batch_of(input_ids=tokens(2, 8), attention_mask=mask))
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, gradient in found.items():
        assert gradient.isfinite().all(), name
        assert gradient.any(), name


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("options", OPTIONS, ids=_name)
def test_activation_checkpointing_gives_the_same_gradients(
    tmp_path: Path, options: dict[str, Any], dropout: float
) -> None:
    model = encoder_model(tmp_path, {**options, "drop_path": dropout, "num_layers": 3}, dropout=dropout)
    batch = batch_of(input_ids=tokens(3, 8), attention_mask=mask_of([8, 5, 2], 8))
    plain = gradients(model, batch)
    model.checkpoint_activations()
    recomputed = gradients(model, batch)
    assert plain.keys() == recomputed.keys()
    for name, gradient in plain.items():
        assert worst(recomputed[name], gradient) <= 1e-6 * max(1.0, gradient.abs().max().item()), name


@pytest.mark.parametrize("options", OPTIONS[:12:2], ids=_name)  # residual scores are float32 always
def test_gradients_agree_with_finite_differences(tmp_path: Path, options: dict[str, Any]) -> None:
    model = encoder_model(tmp_path, options).double()
    batch = batch_of(input_ids=tokens(2, 6), attention_mask=mask_of([6, 3], 6))
    found = gradients(model, batch)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).double()
            losses = []
            for step in (1e-5, -2e-5):
                parameter.add_(direction, alpha=step)
                losses.append(model(batch).loss.item())
            parameter.add_(direction, alpha=1e-5)
            slope = (losses[0] - losses[1]) / 2e-5
            assert slope == pytest.approx((found[name] * direction).sum().item(), rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", OPTIONS, ids=_name)
def test_autocast_gives_features_and_gradients_of_its_precision(
    tmp_path: Path, options: dict[str, Any], dtype: torch.dtype
) -> None:
    model = encoder_model(tmp_path, options, embedding=["pos"])
    batch = batch_of(input_ids=tokens(3, 8), attention_mask=mask_of([8, 5, 0], 8))
    plain, wanted = model.encode(batch).sequence.states, gradients(model, batch)
    with torch.autocast("cpu", dtype=dtype):
        states, found = model.encode(batch).sequence.states, gradients(model, batch)
    unit = torch.finfo(dtype).eps
    assert worst(states[:2], plain[:2]) < 20 * unit * plain.abs().max().item()
    assert all(gradient.isfinite().all() for gradient in found.values())
    left, right = (torch.cat([g.flatten() for g in each.values()]) for each in (found, wanted))
    assert F.cosine_similarity(left, right, dim=0).item() > 0.99


def classifier(folder: Path, **options: Any) -> Model:
    model = {
        "hidden_size": 16,
        "vocab_size": 41,
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": {"cls": {"num_labels": 5, **options}},
    }
    return randomised(build(folder, model))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("pooling", ["first", "last", "mean", "max"])
@pytest.mark.parametrize("hidden_layer", [False, True])
def test_the_classification_loss_is_torchs_cross_entropy(
    tmp_path: Path, smoothing: float, pooling: str, hidden_layer: bool
) -> None:
    model = classifier(tmp_path, label_smoothing=smoothing, pooling=pooling, hidden_layer=hidden_layer)
    labels = torch.tensor([3, IGNORE, 0, 4])
    batch = batch_of({"cls": {"labels": labels}}, input_ids=tokens(4, 6), attention_mask=mask_of([6, 2, 3, 1], 6))
    with torch.no_grad():
        output = model(batch)
        weights = {n.removeprefix("targets.cls."): w.double() for n, w in model.weights().items()}
        x = model.encode(batch).sequence.pooled(pooling).double()
        if hidden_layer:
            x = torch.tanh(x @ weights["dense.weight"].T + weights["dense.bias"])
        logits = x @ weights["classifier.weight"].T + weights["classifier.bias"]
    wanted = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert output.loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert output.outputs["cls"].denominator.item() == 3
    kept = labels != IGNORE
    assert output.metrics["cls/accuracy"].item() == pytest.approx(
        (logits.argmax(1) == labels)[kept].double().mean().item()
    )


def test_classification_predicts_probabilities_that_add_up(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    for each in model.predict(batch_of(input_ids=tokens(3, 4))):
        assert sum(each["probabilities"]) == pytest.approx(1)
        assert each["probabilities"][each["label"]] == max(each["probabilities"])


def test_a_batch_without_any_label_has_no_loss_and_no_gradient(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    batch = batch_of({"cls": {"labels": torch.full((2,), IGNORE)}}, input_ids=tokens(2, 4))
    assert model(batch).loss.item() == 0
    assert not any(gradient.any() for gradient in gradients(model, batch).values())


def test_losses_and_denominators_add_up_over_split_batches(tmp_path: Path) -> None:
    model = classifier(tmp_path, label_smoothing=0.1, dropout=0.0)
    ids, labels = tokens(6, 5), torch.tensor([0, 1, IGNORE, 3, 4, IGNORE])
    whole = batch_of({"cls": {"labels": labels}}, input_ids=ids)
    parts = [batch_of({"cls": {"labels": labels[a:b]}}, input_ids=ids[a:b]) for a, b in ((0, 1), (1, 3), (3, 6))]
    assert model.denominators(whole).item() == sum(model.denominators(part).item() for part in parts) == 4
    model.eval()
    model.zero_grad()
    count = {"cls": model.denominators(whole)[0]}
    total = model(whole).loss
    total.backward()
    once = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    losses = [model(part, count).loss for part in parts]
    for loss in losses:
        loss.backward()
    assert sum(loss.item() for loss in losses) == pytest.approx(total.item(), abs=1e-6)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert worst(parameter.grad, once[name]) < 1e-6, name
