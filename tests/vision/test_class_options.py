"""Pictures: class weights, label smoothing, teachers' labels and balance work for every classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.building import batch_of, build, randomised, worst
from tests.contexts import targets
from tests.vision.pictures import png
from tests.vision.test_image_processor import batch_of as drawn_batch
from tests.vision.test_image_processor import processor, rows_of
from tests.vision.test_vit import DEIT
from tp_core import Features, Model
from tp_core.data.classes.options import probability_column
from tp_core.interfaces import IGNORE
from tp_core.options.context import DataContext
from tp_core.testing import check_module

WEIGHTS = [0.2, 3.0, 0.05]
PLAIN = {key: value for key, value in DEIT.items() if key != "distillation_token"}
#: Classifier → the rest of its model.
MODELS: dict[str, dict[str, Any]] = {"deit": DEIT, "patch_cls": PLAIN, "cls": PLAIN}
SOFT = torch.tensor([[0.7, 0.1, 0.2], [0.0, 0.5, 0.5], [0.1, 0.9, 0.0], [0.3, 0.3, 0.4]])
LABELS = {
    "numbers": {"labels": torch.tensor([0, 2, IGNORE, 1])},
    "probabilities": {"labels": SOFT},
    "both": {"labels": SOFT, "classes": torch.tensor([1, 2, 1, 0])},
}


def model_of(folder: Path, name: str, **options: Any) -> Model:
    target = {name: {"num_labels": 3, "metrics": ["accuracy", "top_2", "balanced_accuracy"], **options}}
    return randomised(build(folder, {**MODELS[name], "target": [target]}))


def heads(target: Any, features: Features) -> list[torch.Tensor]:
    """The logits from which a classifier's loss is computed, with equal weights."""
    return list(target.heads(features)) if hasattr(target, "heads") else [target.class_logits(features)]


@pytest.mark.parametrize("labels", list(LABELS))
@pytest.mark.parametrize("name", list(MODELS))
def test_the_loss_of_every_classifier_is_torchs(tmp_path: Path, name: str, labels: str) -> None:
    model, given = model_of(tmp_path, name, class_weights=WEIGHTS, label_smoothing=0.1), LABELS[labels]
    batch = batch_of({name: given}, pixel_values=torch.randn(4, 3, 8, 8))
    weights, expected = torch.tensor(WEIGHTS), torch.zeros(())
    with torch.no_grad():
        output = model(batch).outputs[name]
        every = heads(model.targets[name], model.encode(batch))
        for logits in every:
            arguments: dict[str, Any] = {"weight": weights, "label_smoothing": 0.1, "ignore_index": IGNORE}
            expected = expected + F.cross_entropy(logits, given["labels"], reduction="sum", **arguments) / len(every)
    assert worst(output.loss_sum, expected) < 1e-5
    weighed = (SOFT * weights).sum() if labels != "numbers" else weights[[0, 2, 1]].sum()
    assert worst(output.denominator, weighed) < 1e-6
    mean = torch.stack(every).mean(dim=0)
    wanted = given.get("classes", given["labels"] if labels == "numbers" else SOFT.argmax(dim=1))
    counted = wanted != IGNORE
    right = (mean.argmax(dim=1) == wanted)[counted].float().mean()
    assert worst(model(batch).metrics[f"{name}/accuracy"], right) < 1e-6


@pytest.mark.parametrize("name", list(MODELS))
def test_every_classifier_keeps_its_contract_with_class_weights(name: str) -> None:
    options = {"num_labels": 3, "class_weights": WEIGHTS, "metrics": ["top_2", "f1_weighted", "recall_macro"]}
    check_module(name, "target", options, model=MODELS[name])


def test_distillation_counts_samples_and_not_their_weights(tmp_path: Path) -> None:
    model = model_of(tmp_path, "deit", class_weights=WEIGHTS)
    batch = batch_of({"deit": LABELS["numbers"]}, pixel_values=torch.randn(4, 3, 8, 8))
    assert model.named_targets()["deit"].labelled_rows(batch).item() == 3
    assert model.named_targets()["deit"].denominator(batch).item() == pytest.approx(3.25)


# -- the processor ---------------------------------------------------------------------------------------------------

THREE = DataContext(targets=targets(cls={"num_labels": 3}))
RECORDS: list[dict[str, Any]] = [
    {"image": png(20, 24, seed=i), "label": i % 3, **({"taught": [0.2, 0.5, 0.3]} if i % 2 else {})} for i in range(8)
]
OPTIONS: dict[str, Any] = {"image_size": 16, "probabilities": "taught", "soft_weight": 0.5}


@pytest.mark.parametrize("augment", [{}, {"mixup": 0.8}])
def test_a_processor_of_pictures_with_a_teacher_conforms(augment: dict[str, Any]) -> None:
    check_module("image", "processor", {**OPTIONS, "augment": augment}, records=RECORDS, data=THREE)


def test_mixed_pictures_have_mixed_probabilities_of_the_teacher(tmp_path: Path) -> None:
    plain, mixes = (processor(THREE, **OPTIONS, augment=augment) for augment in ({}, {"mixup": 0.8}))
    rows = rows_of(plain, tmp_path, RECORDS)
    taught = [rows.get(probability_column(), index) for index in range(len(rows))]
    assert [len(each) for each in taught] == [0, 3] * 4
    before, after = (drawn_batch(made, rows).labels["cls"] for made in (plain, mixes))
    expected = np.eye(3)[[record["label"] for record in RECORDS]]
    expected[1::2] = (expected[1::2] + np.array([0.2, 0.5, 0.3])) / 2
    assert before["labels"].numpy() == pytest.approx(expected, abs=1e-6)
    assert before["classes"].tolist() == [record["label"] for record in RECORDS]
    assert set(after) == {"labels"}
    assert after["labels"].sum(dim=1).tolist() == pytest.approx([1.0] * 8)
    assert after["labels"].mean(dim=0).shape == (3,)
    assert not torch.allclose(after["labels"], before["labels"])
