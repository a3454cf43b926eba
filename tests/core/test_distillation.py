"""Distillation: its formula, its teacher, and training with it from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import CONTENT, batch_of, build, mask_of, randomised, tokens, worst
from tests.core import runs
from tp_core import Model, TPError, load_model, load_spec
from tp_core.artifacts.weights import save_weights
from tp_core.cost.pricing import price
from tp_core.interfaces import IGNORE, Batch
from tp_core.testing import check_module

LENGTH = 6


def model_of(folder: Path, *targets: Any, seed: int = 0, num_layers: int = 1, **model: Any) -> Model:
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "dropout": 0.0,
        "embedding": [CONTENT],
        "pooling": "last",
        "encoder": {"transformer": {"num_layers": num_layers, "num_heads": 2, "mask": "causal"}},
        "target": list(targets),
    }
    folder.mkdir(exist_ok=True)
    return randomised(build(folder, parts | model), seed)


def teacher_in(folder: Path, *targets: Any, **model: Any) -> tuple[str, Model]:
    """The folder of a trained model, as ``tp train`` leaves it, and the model."""
    teacher = model_of(folder, *targets, seed=7, num_layers=2, **model)
    save_weights(teacher.weights(), folder / "model.safetensors")
    return str(folder), teacher


def batch_for(rows: int = 4) -> Batch:
    lengths = [6, 2, 5, 4][:rows]
    mask = mask_of(lengths, LENGTH)
    labels = tokens(rows, LENGTH, seed=3).masked_fill(mask == 0, IGNORE)
    labels[0, 2:] = IGNORE
    return batch_of(
        {"lm": {"labels": labels}, "cls": {"labels": torch.tensor([1, IGNORE, 0, 1])[:rows]}},
        input_ids=tokens(rows, LENGTH),
        attention_mask=mask,
    )


def part(batch: Batch, start: int, stop: int) -> Batch:
    labels = {name: {k: v[start:stop] for k, v in each.items()} for name, each in batch.labels.items()}
    return Batch.of({k: v[start:stop] for k, v in batch.inputs.items()}, stop - start, labels=labels)


def gradients(model: Model, *batches: Batch) -> dict[str, Tensor]:
    """Those of one step on the batches together."""
    model.zero_grad(set_to_none=True)
    counts = torch.stack([model.denominators(batch) for batch in batches]).sum(0)
    for batch in batches:
        model(batch, dict(zip(model.targets, counts))).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


# -- the loss -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("name", ["lm", "cls"])
def test_the_soft_loss_follows_its_formula(tmp_path: Path, name: str, temperature: float) -> None:
    path, teacher = teacher_in(tmp_path / "teacher", name)
    options = {"teacher": path, "temperature": temperature, "soft_weight": 0.5}
    student, batch = model_of(tmp_path, {name: {"weight": 0.0}}, {"distill": options}), batch_for()
    labelled = (batch.labels[name]["labels"] != IGNORE).flatten()
    own, other = (
        model.targets[name].logits(model.encode(batch), batch)[0].double() / temperature  # type: ignore[operator]
        for model in (student, teacher)
    )
    p, q = other.exp() / other.exp().sum(1, keepdim=True), own.exp() / own.exp().sum(1, keepdim=True)
    kl = (p * (p / q).log()).sum(1)[labelled].mean().item()
    output = student(batch)
    assert kl > 1e-3
    assert output.loss.item() == pytest.approx(0.5 * temperature**2 * kl, rel=1e-5)
    assert output.metrics["distill/kl"].item() == pytest.approx(kl, rel=1e-5)
    agreement = (own.argmax(1) == other.argmax(1))[labelled].double().mean().item()
    assert output.metrics["distill/agreement"].item() == pytest.approx(agreement)


def test_class_weights_of_the_student_do_not_weigh_the_soft_loss(tmp_path: Path) -> None:
    path, _ = teacher_in(tmp_path / "teacher", "cls")
    distill, batch = {"distill": {"teacher": path}}, batch_for()
    plain = model_of(tmp_path, {"cls": {"weight": 0.0}}, distill)(batch)
    weighed = model_of(tmp_path, {"cls": {"weight": 0.0, "class_weights": [0.1, 7.0]}}, distill)(batch)
    assert weighed.loss.item() == pytest.approx(plain.loss.item(), rel=1e-6)
    assert weighed.losses["cls"].item() != pytest.approx(plain.losses["cls"].item(), rel=1e-3)


def test_a_student_with_the_teachers_weights_has_nothing_to_learn(tmp_path: Path) -> None:
    path, teacher = teacher_in(tmp_path / "teacher", "lm")
    distill = {"distill": {"teacher": path, "cosine_weight": 1.0}}
    student = model_of(tmp_path, {"lm": {"weight": 0.0}}, distill, num_layers=2)
    student.load_weights(teacher.weights())
    output = student(batch_for())
    assert abs(output.loss.item()) < 1e-6
    assert output.metrics["distill/agreement"].item() == 1
    found = gradients(student, batch_for())
    assert max(value.abs().max().item() for value in found.values()) < 1e-6
    assert max(value.abs().max().item() for value in gradients(model_of(tmp_path, "lm"), batch_for()).values()) > 0.1


@pytest.mark.parametrize("told", ["attention_mask", "lengths"])
def test_the_hidden_states_follow_the_teachers_where_they_are_real(tmp_path: Path, told: str) -> None:
    path, teacher = teacher_in(tmp_path / "teacher", "lm")
    options = {"teacher": path, "soft_weight": 0.0, "cosine_weight": 3.0}
    student, batch = model_of(tmp_path, {"lm": {"weight": 0.0}}, {"distill": options}), batch_for()
    u, v = (model.encode(batch).sequence.states.double() for model in (student, teacher))
    distance = 1 - (u * v).sum(-1) / (u.norm(dim=-1) * v.norm(dim=-1))
    mask = batch.inputs["attention_mask"].double()
    if told == "lengths":
        batch.inputs["lengths"] = batch.inputs.pop("attention_mask").sum(1)
    samples = (distance * mask).sum(1) / mask.sum(1)
    labels = (batch.labels["lm"]["labels"] != IGNORE).sum(1)
    wanted = ((samples * labels).sum() / labels.sum()).item()  # a sample counts as often as it has labels
    output = student(batch)
    assert output.loss.item() == pytest.approx(3 * wanted, abs=1e-5)
    assert output.metrics["distill/cosine_distance"].item() == pytest.approx(wanted, abs=1e-5)


def test_micro_batches_have_the_gradients_of_the_whole(tmp_path: Path) -> None:
    path, _ = teacher_in(tmp_path / "teacher", "lm")
    student = model_of(tmp_path, "lm", {"distill": {"teacher": path, "cosine_weight": 2.0}})
    batch = batch_for()
    once = gradients(student, batch)
    split = gradients(student, part(batch, 0, 1), part(batch, 1, 3), part(batch, 3, 4))
    assert max(value.norm().item() for value in once.values()) > 0.1
    assert max(worst(split[name], once[name]) for name in once) < 1e-6


def test_the_scores_of_the_masked_language_model_are_those_of_its_labels(tmp_path: Path) -> None:
    model = model_of(tmp_path, "mlm", embedding=["word"], encoder={"transformer": {"num_layers": 1, "num_heads": 2}})
    target: Any = model.targets["mlm"]
    positions, labels = torch.tensor([[0, 4], [1, 0]]), torch.tensor([[3, 9], [5, IGNORE]])
    batch = batch_of({"mlm": {"labels": labels, "positions": positions}}, input_ids=tokens(2, LENGTH))
    features = model.encode(batch)
    scores, labelled = target.logits(features, batch)
    everywhere = target.output(target.transform(features.sequence.states))
    assert worst(scores, torch.stack([everywhere[0, 0], everywhere[0, 4], everywhere[1, 1], everywhere[1, 0]])) < 1e-6
    assert labelled.tolist() == [True, True, True, False]
    loss = torch.nn.functional.cross_entropy(scores, labels.flatten())
    assert model(batch).loss.item() == pytest.approx(loss.item(), abs=1e-5)


# -- the teacher ----------------------------------------------------------------------------------------------------


def test_the_teacher_is_no_part_of_the_model(tmp_path: Path) -> None:
    path, teacher = teacher_in(tmp_path / "teacher", "lm", dropout=0.5)
    student = model_of(tmp_path, "lm", {"distill": {"teacher": path}})
    names, before = set(student.weights()), teacher.weights()
    torch.manual_seed(0)
    losses = {student.train()(batch_for()).losses["distill"].item() for _ in range(3)}
    assert len(losses) == 1  # the teacher's dropout is off
    assert set(student.weights()) == names
    assert not any("teacher" in name or name.startswith("targets.distill") for name in student.state_dict())
    gradients(student, batch_for())
    held: Any = student.targets["distill"]
    (inside,) = held._teacher
    assert not inside.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in inside.parameters())
    assert all(torch.equal(inside.weights()[name], value) for name, value in before.items())


def test_a_target_of_another_name_may_teach(tmp_path: Path) -> None:
    path, _ = teacher_in(tmp_path / "teacher", "lm", "cls")
    student = model_of(tmp_path, "cls", "lm", {"distill": {"teacher": path, "of": "lm", "teacher_target": "lm"}})
    assert student(batch_for()).losses["distill"].isfinite()
    assert student.predict(batch_for())[0].keys() == {"cls", "lm"}


def test_costs_are_measured_without_the_teacher(tmp_path: Path) -> None:
    model_of(tmp_path, "lm", {"distill": {"teacher": "nowhere", "cosine_weight": 1.0}})
    found = price(load_spec(tmp_path / "spec.yaml"), batch_size=2, length=8)
    assert found.note == ""
    assert found.forward_flops is not None


@pytest.mark.parametrize(
    ("targets", "teacher", "distill", "message"),
    [
        (["lm"], {}, {"teacher": "nowhere"}, "the teacher cannot be loaded: {folder}/nowhere: there is no such"),
        (["lm"], {}, {"teacher": "."}, "distill: the teacher cannot be loaded: {folder}: there is no model"),
        (["lm"], {"vocab_size": 43}, {}, "of the teacher {folder}/teacher has 43 tokens, the student's 41; both"),
        (["cls"], {}, {}, "the teacher {folder}/teacher has no target 'cls' (teacher_target); it has: lm"),
        (["lm"], {"embedding": [CONTENT, {"pos": {"max_length": 5}}]}, {}, "has 5 positions, but batches have 6"),
        (["lm"], {"embedding": [CONTENT, "seg"]}, {}, "teacher reads token_type_ids, which batches do not have"),
        (["cls"], {}, {"teacher_target": "lm"}, "scores 41 classes for 24 rows, but the student 2 for 4"),
        (
            ["lm"],
            {"hidden_size": 24},
            {"cosine_weight": 1.0},
            "gives states of shape (4, 6, 24), but the student (4, 6, 16); set cosine_weight: 0",
        ),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(
    tmp_path: Path, targets: list[str], teacher: dict[str, Any], distill: dict[str, Any], message: str
) -> None:
    teacher_in(tmp_path / "teacher", "lm", **teacher)
    student = model_of(tmp_path, *targets, {"distill": {"teacher": "teacher", **distill}})
    with pytest.raises(TPError) as caught:
        student(batch_for())
    assert message.format(folder=tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([{"distill": {}}], "model.target.distill.teacher"),
        ([{"distill": {"teacher": "x"}}], "'of' must say which target's scores are distilled; the others are: none"),
        (["lm", "cls", {"distill": {"teacher": "x"}}], "which target's scores are distilled; the others are: lm, cls"),
        (["lm", {"distill": {"teacher": "x", "of": "ml"}}], "the model has no other target 'ml'; the others are: lm"),
        (["lm", {"distill": {"teacher": "x", "temperature": 0}}], "distill.temperature"),
        (["lm", {"distill": {"teacher": "x", "soft_weight": 0}}], "soft_weight and cosine_weight are both 0"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, targets: list[Any], message: str) -> None:
    with pytest.raises(TPError) as caught:
        model_of(tmp_path, *targets)
    assert message in str(caught.value)


def test_a_target_without_scores_cannot_be_distilled(tmp_path: Path) -> None:
    stream = {"embedding": [CONTENT], "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}}}
    parts = {"hidden_size": 16, "vocab_size": 41, "streams": {"a": stream, "b": "a"}}
    with pytest.raises(TPError, match="the target 'clr' gives no scores that could be distilled"):
        build(tmp_path, {**parts, "target": ["clr", {"distill": {"teacher": "x"}}]})


def test_the_target_conforms(tmp_path: Path) -> None:
    path, _ = teacher_in(tmp_path / "teacher", "cls", vocab_size=61, hidden_size=24)
    options = {"teacher": path, "cosine_weight": 1.0}
    check_module("distill", "target", options, model={"target": ["cls", {"distill": options}]})


# -- from the command line ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trained teacher, and a student of half its depth."""
    folder = runs.write_project(tmp_path_factory.mktemp("distillation"), steps=60, checkpoint_every=None)
    runs.train(folder, "--run", "teacher")
    spec = runs.read_spec(folder)
    distill = {"teacher": "teacher", "of": "mlm", "temperature": 2.0, "soft_weight": 5.0, "cosine_weight": 1.0}
    spec["model"] |= {"num_layers": 1, "dropout": 0.0, "target": [{"mlm": {"weight": 2.0}}, "sp", {"distill": distill}]}
    spec["data"]["eval"] = "held_out.txt"
    spec["train"] |= {"steps": 40, "eval_every": 20, "log_every": 5}
    runs.write_spec(folder, spec)
    return folder


def test_a_small_student_learns_from_its_teacher(home: Path) -> None:
    runs.train(home, "--run", "student")
    lines = [line for line in runs.metrics(home / "student") if "loss" in line]
    held_out = [line for line in runs.metrics(home / "student") if "eval/loss" in line]
    assert lines[-1]["distill/kl"] < 0.7 * lines[0]["distill/kl"]
    assert lines[-1]["distill/cosine_distance"] < lines[0]["distill/cosine_distance"]
    assert held_out[-1]["eval/distill/kl"] < held_out[0]["eval/distill/kl"]
    named = {"loss/mlm", "loss/distill", "distill/agreement", "mlm/accuracy"}
    assert named <= lines[0].keys()
    assert lines[0]["loss"] == pytest.approx(
        2 * lines[0]["loss/mlm"] + lines[0]["loss/sp"] + lines[0]["loss/distill"], rel=1e-4
    )


def test_two_processes_and_micro_batches_have_the_losses_of_one(home: Path) -> None:
    short = ["train.steps=6", "train.log_every=1"]
    runs.train(home, "--run", "one", *short)
    runs.train(home, "--run", "micro", "train.accumulate=4", *short)
    runs.train_pair(home, "--run", "two", *short)
    one = runs.metrics(home / "one")
    assert runs.metrics(home / "micro") == [pytest.approx(line, rel=1e-4) for line in one]
    assert runs.metrics(home / "two") == [pytest.approx(line, rel=1e-4) for line in one]


def test_a_trained_student_is_used_without_its_teacher(home: Path, tmp_path: Path) -> None:
    runs.train(home, "--run", "alone", "train.steps=2")
    shutil.copytree(home / "alone" / "model", tmp_path / "model")
    assert "teacher" not in (tmp_path / "model" / "spec.yaml").read_text()
    loaded = load_model(tmp_path / "model")
    assert loaded.processor is not None
    ids = {"input_ids": tokens(1, 4), "token_type_ids": tokens(1, 4) * 0}
    labels = {"mlm": {"positions": torch.tensor([[1]]), "labels": torch.tensor([[IGNORE]])}}
    assert loaded.model.predict(Batch.of(ids, 1, labels=labels))[0].keys() == {"mlm", "sp"}


def test_a_run_without_its_teacher_ends_with_one_message(home: Path) -> None:
    changed = "model.target=[mlm, {distill: {teacher: gone, of: mlm}}]"
    said = runs.train(home, "--run", "never", changed, status=2)
    assert f"model.target.distill.teacher: there is no file {home}/gone" in said
    assert "Traceback" not in said
