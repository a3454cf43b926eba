"""The accuracy of targets is that of argmax, also where half precision makes many scores equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tp_core.interfaces import IGNORE, Batch
from tp_core.model import Model, build_model
from tp_core.testing import random_batch
from tp_core.testing.specs import config_class_of, minimal_model, minimal_spec

LENGTHS = [12, 7, 9, 12]
TREES: dict[str, dict[str, Any]] = {
    "mlm": {},
    "lm": {},
    "bilm": {"encoder": {"bilstm": {"num_layers": 1}}},
    "visual_tokens": {"image_size": 8, "patch_size": 2, "embedding": ["masked_patch"]},
}


def tied_model(name: str) -> Model:
    """A model of a target whose output matrix has four different rows only."""
    options = {"num_tokens": 61} if name == "visual_tokens" else {"tie": False}
    tree = minimal_model("target", name, options, config_class_of("target", name)) | TREES[name]
    model = build_model(minimal_spec(tree), seed=0).eval()
    weight: Any = model.targets[name].output.weight  # type: ignore[union-attr]
    with torch.no_grad():
        weight.copy_(torch.randn(4, weight.shape[1], generator=torch.Generator().manual_seed(0)).repeat(16, 1)[:61])
    return model


def scores_and_labels(model: Model, name: str, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """All scores, (rows, classes), and their labels, (rows,), as views of the batch's."""
    target: Any = model.targets[name]
    features = model.encode(batch)
    if name == "bilm":
        halves = features.sequence.states.chunk(2, dim=-1)
        scores = [target.output(half).flatten(0, 1) for half in halves]
        labels = batch.labels["bilm"]
        return torch.cat(scores), torch.cat([labels["forward"].flatten(), labels["backward"].flatten()])
    if name == "visual_tokens":
        places = batch.labels[name]["positions"]
        rows = torch.arange(len(places)).unsqueeze(1)
        return target.patch_logits(features)[rows, places].flatten(0, 1), batch.labels[name]["labels"][
            rows, places
        ].flatten()
    return target.logits(features, batch)[0], batch.labels[name]["labels"].flatten()


@pytest.mark.parametrize("name", TREES)
def test_of_equal_scores_the_first_alone_is_right(name: str) -> None:
    model = tied_model(name)
    batch = random_batch(model, LENGTHS)
    if name == "visual_tokens":  # which are drawn with repetitions
        places = batch.labels[name]["positions"]
        places.copy_(torch.arange(places.shape[1]).expand_as(places))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        scores, labels = scores_and_labels(model, name, batch)
        best = torch.from_numpy(scores.float().numpy().argmax(axis=1))
        # Half of the labels are the first of the best, and half another one with the same score.
        wanted = torch.where(torch.arange(len(best)) % 2 == 0, best, best + 4).masked_fill(labels == IGNORE, IGNORE)
        put(batch, name, wanted)
        assert torch.equal(scores_and_labels(model, name, batch)[1], wanted)
        right, count = model(batch).outputs[name].metrics["accuracy"]
    assert count.item() == (wanted != IGNORE).sum()
    assert right.item() == (wanted == best).sum()
    tied = scores.gather(1, wanted.clamp(min=0).unsqueeze(1)) == scores.amax(dim=1, keepdim=True)
    assert (tied.squeeze(1) & (wanted != IGNORE)).sum() > 1.5 * right.item()


def put(batch: Batch, name: str, wanted: torch.Tensor) -> None:
    """Write the labels of all rows into the batch."""
    labels = batch.labels[name]
    if name == "bilm":
        for direction, own in zip(("forward", "backward"), wanted.chunk(2)):
            labels[direction].copy_(own.view_as(labels[direction]))
    elif name == "visual_tokens":
        places = batch.labels[name]["positions"]
        labels["labels"].scatter_(1, places, wanted.view_as(places))
    else:
        labels["labels"].copy_(wanted.view_as(labels["labels"]))


def test_the_class_of_a_prediction_is_the_one_that_accuracy_counts() -> None:
    from tp_core.modules.targets.class_metrics import class_metrics
    from tp_core.modules.targets.classification import class_predictions

    logits = torch.tensor([[0.0, 1e-9, -1.0], [1.0, 1.0, 0.0]])
    assert torch.equal(logits.softmax(dim=-1)[0, 0], logits.softmax(dim=-1)[0, 1]), "equal as probabilities only"
    predicted = [each["label"] for each in class_predictions(logits)]
    assert predicted == np.asarray(logits).argmax(axis=1).tolist() == [1, 0]
    right, count = class_metrics(["accuracy"], logits, torch.tensor(predicted), torch.ones(2, dtype=torch.bool))[
        "accuracy"
    ]  # type: ignore[misc]
    assert (right, count) == (2, 2)
