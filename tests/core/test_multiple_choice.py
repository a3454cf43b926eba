"""Multiple choice: questions with different numbers of choices, whose sequences a batch has one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.building import CONTENT, batch_of, build, mask_of, randomised, tokens, worst
from tests.core.test_distillation import gradients, teacher_in
from tp_core import Model
from tp_core.cost.pricing import price
from tp_core.data.routing import Route
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module, random_batch

COUNTS = [2, 4, 1, 3]
LENGTHS = [6, 2, 5, 4, 6, 1, 3, 6, 2, 4]


def model_of(folder: Path, *targets: Any, seed: int = 0, **model: Any) -> Model:
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "dropout": 0.0,
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": list(targets) or ["choice"],
    }
    folder.mkdir(exist_ok=True)
    return randomised(build(folder, parts | model), seed)


def sequences_of(counts: list[int]) -> torch.Tensor:
    numbers = iter(range(sum(counts)))
    return torch.tensor([[next(numbers) if n < count else -1 for n in range(max(counts))] for count in counts])


def questions(labels: list[int], name: str = "choice") -> Batch:
    """A batch of four questions with 2, 4, 1 and 3 choices."""
    batch = batch_of(
        {name: {"labels": torch.tensor(labels)}}, input_ids=tokens(10, 6), attention_mask=mask_of(LENGTHS, 6)
    )
    batch.size, batch.sequences = len(COUNTS), sequences_of(COUNTS)
    return batch


def one(batch: Batch, number: int) -> Batch:
    """One question of a batch, without the padding of the other ones."""
    assert batch.sequences is not None
    own = batch.sequences[number][batch.sequences[number] >= 0]
    mask = batch.inputs["attention_mask"][own]
    width = int(mask.sum(1).max())
    inputs = {"input_ids": batch.inputs["input_ids"][own, :width], "attention_mask": mask[:, :width]}
    labels = {name: {"labels": each["labels"][number : number + 1]} for name, each in batch.labels.items()}
    return Batch.of(inputs, 1, labels=labels, sequences=torch.arange(len(own))[None])


@pytest.mark.parametrize("options", [{}, {"hidden_layer": False, "pooling": "mean"}, {"activation": "relu"}])
def test_the_target_conforms(options: dict[str, Any]) -> None:
    check_module("choice", "target", options)


def test_a_question_costs_among_others_what_it_costs_alone(tmp_path: Path) -> None:
    model, batch = model_of(tmp_path), questions([1, 3, 0, IGNORE])
    target: Any = model.targets["choice"]
    together = model(batch).outputs["choice"]
    alone = [model(one(batch, number)).outputs["choice"] for number in range(4)]
    assert together.denominator.item() == sum(each.denominator.item() for each in alone) == 3
    assert worst(together.loss_sum, torch.stack([each.loss_sum for each in alone]).sum()) < 1e-5
    right, count = together.metrics["accuracy"]
    assert (right.item(), count.item()) == (sum(each.metrics["accuracy"][0].item() for each in alone), 3)
    predicted = target.predict(model.encode(batch), batch)
    assert [len(each["probabilities"]) for each in predicted] == COUNTS
    for number, found in enumerate(predicted):
        single = one(batch, number)
        (expected,) = target.predict(model.encode(single), single)
        assert found["label"] == expected["label"]
        assert found["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
        assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-6)


def test_the_loss_and_its_gradients_follow_the_formula(tmp_path: Path) -> None:
    model, labels = model_of(tmp_path), [1, 3, 0, 2]
    batch = questions(labels)
    target: Any = model.targets["choice"]
    found = gradients(model, batch)
    pooled = model.encode(batch).sequence.states[:, 0].double()
    dense = (pooled @ target.dense.weight.double().t() + target.dense.bias).tanh()
    scores = (dense @ target.classifier.weight.double().t() + target.classifier.bias).squeeze(1)
    loss = torch.zeros((), dtype=torch.float64)
    first = 0
    for count, label in zip(COUNTS, labels):
        own = scores[first : first + count]
        loss = loss + own.exp().sum().log() - own[label]
        first += count
    assert model(batch).loss.item() == pytest.approx(loss.item() / 4, abs=1e-5)
    model.zero_grad()
    (loss / 4).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert worst(found[name], parameter.grad) < 1e-5
    assert found["targets.choice.dense.weight"].abs().max() > 1e-3


def test_a_batch_without_labels_costs_nothing(tmp_path: Path) -> None:
    output = model_of(tmp_path)(questions([IGNORE] * 4))
    assert (output.loss.item(), output.outputs["choice"].denominator.item()) == (0, 0)


def test_samples_of_one_sequence_are_refused(tmp_path: Path) -> None:
    batch = questions([1, 0, 0, 0])
    batch.sequences = None
    with pytest.raises(TPError, match="the target 'choice' chooses among the sequences of a sample"):
        model_of(tmp_path)(batch)


def test_values_of_sequences_become_those_of_samples() -> None:
    batch = questions([0] * 4)
    values = torch.arange(20.0).reshape(10, 2)
    found = batch.by_sample(values, fill=-1)
    assert found.shape == (4, 4, 2)
    assert found[0].tolist() == [[0, 1], [2, 3], [-1, -1], [-1, -1]]
    assert found[1].flatten().tolist() == list(range(4, 12))
    assert Batch.of({"input_ids": values}, 10).by_sample(values).tolist() == values[:, None].tolist()
    assert batch._each(lambda tensor: tensor + 1).sequences.tolist() == (sequences_of(COUNTS) + 1).tolist()  # type: ignore[union-attr]


def test_each_sequence_has_the_number_of_its_data_set() -> None:
    routed = Route({"own": ("choice",)}, number=3)(questions([0] * 4))
    assert routed.inputs["task_ids"].tolist() == [3] * 10
    assert routed.sequences is not None
    assert routed.labels["own"]["labels"].shape == (4,)


def test_costs_are_those_of_several_sequences_per_sample(tmp_path: Path) -> None:
    choice, cls = (model_of(tmp_path, target) for target in ("choice", {"cls": {"num_labels": 2}}))
    one_each, several = (price(model.spec, batch_size=3, length=8) for model in (cls, choice))
    assert (one_each.units, several.units) == (24, 96)
    assert several.forward_flops is not None
    assert one_each.forward_flops is not None
    assert 3.5 < several.forward_flops / one_each.forward_flops < 4.5
    assert not several.note
    both = model_of(tmp_path, "choice", "cls")
    batch = random_batch(both, [5, 3])
    assert (batch.size, len(batch.inputs["input_ids"])) == (2, 8)
    assert {name: len(each["labels"]) for name, each in batch.labels.items()} == {"choice": 2, "cls": 8}
    assert price(both.spec, batch_size=2, length=8).forward_flops


@pytest.mark.parametrize("cosine", [0.0, 2.0])
def test_a_student_learns_the_choices_of_a_teacher(tmp_path: Path, cosine: float) -> None:
    options = {"pooling": "first", "encoder": {"transformer": {"num_layers": 2, "num_heads": 2}}}
    path, teacher = teacher_in(tmp_path / "teacher", "choice", **options)
    distill = {"distill": {"teacher": path, "cosine_weight": cosine, "temperature": 2.0}}
    student, batch = model_of(tmp_path, {"choice": {"weight": 0.0}}, distill), questions([1, 3, 0, IGNORE])
    output = student(batch)
    states = [model.encode(batch).sequence.states.double() for model in (student, teacher)]
    scores = [model.targets["choice"].scores(model.encode(batch), batch).double() / 2 for model in (student, teacher)]  # type: ignore[operator]
    mask, expected = batch.inputs["attention_mask"].double(), 0.0
    distance = 1 - torch.nn.functional.cosine_similarity(*states, dim=-1)
    each = (distance * mask).sum(1) / mask.sum(1)
    first = 0
    for number, count in enumerate(COUNTS[:3]):
        q, p = (score[number, :count].softmax(0) for score in scores)
        expected += 4 * (p * (p / q).log()).sum().item()
        expected += cosine * each[first : first + count].mean().item()
        first += count
    assert output.loss.item() == pytest.approx(expected / 3, abs=1e-5)
    found = gradients(student, batch)
    assert all(bool(torch.isfinite(grad).all()) for grad in found.values())
    apart = gradients(student, *(one(batch, number) for number in range(4)))
    assert max(worst(apart[name], found[name]) for name in found) < 1e-5
