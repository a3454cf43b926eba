"""Classification with probabilities of classes as labels, as mixed samples have them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tests.building import CONTENT, batch_of, build, randomised, tokens, worst
from tp_core import Model

CLASSES = 4


def model_of(folder: Path, smoothing: float) -> Model:
    model = {
        "hidden_size": 8,
        "vocab_size": 41,
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"cls": {"num_labels": CLASSES, "label_smoothing": smoothing, "dropout": 0.0}}],
    }
    return randomised(build(folder, model))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_with_the_probabilities(tmp_path: Path, smoothing: float) -> None:
    model, ids = model_of(tmp_path, smoothing), tokens(5, 6)
    labels = torch.rand(5, CLASSES, generator=torch.Generator().manual_seed(3)).softmax(dim=-1)
    batch = batch_of({"cls": {"labels": labels}}, input_ids=ids)
    output = model(batch)
    with torch.no_grad():
        logits = model.targets["cls"].class_logits(model.encode(batch)).double()  # type: ignore[operator]
    smoothed = labels.double() * (1 - smoothing) + smoothing / CLASSES
    expected = -(smoothed * F.log_softmax(logits, dim=-1)).sum(dim=-1).mean()
    assert worst(output.loss, expected) < 1e-5
    agree = (logits.argmax(dim=-1) == labels.argmax(dim=-1)).double().mean()
    assert worst(output.metrics["cls/accuracy"], agree) < 1e-6
    assert output.outputs["cls"].denominator.item() == 5


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_certain_labels_cost_what_their_numbers_cost(tmp_path: Path, smoothing: float) -> None:
    model, ids = model_of(tmp_path, smoothing), tokens(5, 6)
    numbers = torch.tensor([0, 3, 1, 1, 2])
    hard = model(batch_of({"cls": {"labels": numbers}}, input_ids=ids))
    soft = model(batch_of({"cls": {"labels": F.one_hot(numbers, CLASSES).float()}}, input_ids=ids))
    assert worst(soft.loss, hard.loss) < 1e-6
    assert torch.equal(soft.metrics["cls/accuracy"], hard.metrics["cls/accuracy"])
