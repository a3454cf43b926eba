"""Labels of a teacher in the data: probabilities or logits of classes, alone or mixed with the class of a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn import functional as F

from tests.contexts import targets
from tests.core import runs
from tp_core import DataError, Record, SpecError, load_spec
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.classes.labels import RecordClasses
from tp_core.data.classes.options import TeacherField
from tp_core.data.classes.teacher import TeacherProbabilities
from tp_core.data.routing import route_of
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.interfaces import IGNORE, Batch
from tp_core.model import build_model
from tp_core.options.context import DataContext
from tp_core.spec.checks.run import check_run
from tp_text.processors.classification_options import ClassificationProcessorConfig

NAMES = ["bad", "fair", "good"]
THREE = DataContext(targets=targets(cls={"num_labels": 3}))


def reader(logits: bool = False, names: list[str] | None = NAMES, temperature: float = 1.0) -> TeacherProbabilities:
    return TeacherProbabilities(TeacherField("taught", logits), names, 3, temperature)


def classes(data: DataContext = THREE, **options: Any) -> RecordClasses:
    return ClassificationProcessorConfig.model_validate({"labels": NAMES, **options}).record_labels(data)


# -- a field ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        [0.2, 0.5, 0.3],
        (0.2, 0.5, 0.3),
        np.array([0.2, 0.5, 0.3]),
        {"good": 0.3, "bad": 0.2, "fair": 0.5},
        "0.2 0.5 0.3",
        " 0.2, 0.5 ; 0.3",
        "0.2|0.5|0.3",
        "[0.2, 0.5, 0.3]",
        '{"good": 0.3, "bad": 0.2, "fair": 0.5}',
        ["0.2", "0.5", "0.3"],
    ],
)
def test_probabilities_are_read_in_every_form(value: Any) -> None:
    found = reader().read(value)
    assert found is not None
    assert found.tolist() == pytest.approx([0.2, 0.5, 0.3])


def test_classes_without_names_are_named_by_their_numbers() -> None:
    found = reader(names=None).read({"2": 0.3, 0: 0.2, "1": 0.5})
    assert found is not None
    assert found.tolist() == pytest.approx([0.2, 0.5, 0.3])


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_empty_field_has_no_probabilities(value: Any) -> None:
    assert reader().read(value) is None


def test_rounded_probabilities_get_the_sum_one() -> None:
    found = reader().read([0.33, 0.33, 0.33])
    assert found is not None
    assert found.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_logits_and_probabilities_are_softened_alike(temperature: float) -> None:
    logits = np.array([-1.5, 300.0, 299.0])
    expected = softmax(logits / temperature)
    soft = reader(logits=True, temperature=temperature).read(logits.tolist())
    same = reader(temperature=temperature).read(softmax(logits).tolist())
    assert soft is not None
    assert same is not None
    assert soft == pytest.approx(expected, abs=1e-12)
    assert same == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.5, 0.2, 0.1], "the probabilities in 'taught' have the sum 0.8; expected 1"),
        ([50, 30, 20], "'taught' has 50; expected probabilities from 0 to 1; the option logits reads logits"),
        ([-0.2, 0.7, 0.5], "'taught' has -0.2; expected probabilities from 0 to 1"),
        ([0.5, 0.5], "'taught' has 2 numbers; expected 3, one for each class in order"),
        ("1.0", "'taught' has one number; expected 3, one for each class in order"),
        ({"bad": 0.5, "god": 0.5}, "'taught' has the unknown class 'god'; did you mean 'good'?"),
        ({"bad": 0.5, "x": 0.5}, "'taught' has the unknown class 'x'; the classes are bad, fair, good"),
        ({"bad": 0.5, "good": 0.5}, "'taught' has no number for fair; expected one for each class"),
        ([None, 0.5, 0.5], "'taught' has 'None'; expected a finite number for each class"),
        ([float("nan"), 0.5, 0.5], "'taught' has 'nan'; expected a finite number for each class"),
        ([True, 0, 0], "'taught' has 'True'; expected a finite number for each class"),
        ("0.2 0.5 many", "'taught' has 'many'; expected a finite number for each class"),
        ("[0.2, 0.5", "'taught' has a text that looks like JSON and is not"),
        (0.5, "'taught' has a value of the type float; expected a list of numbers, or numbers by the names"),
        (b"0.2 0.5 0.3", "'taught' has a value of the type bytes"),
    ],
)
def test_what_are_no_probabilities_of_the_classes_is_named_by_its_line(value: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        classes(probabilities="taught").read(Record({"taught": value, "label": "bad"}, "a.jsonl", 7))
    assert str(caught.value).startswith(f"a.jsonl:7: {message}")


# -- records ---------------------------------------------------------------------------------------------------------


def test_the_class_of_a_record_is_its_label_or_else_the_most_probable_one() -> None:
    made = classes(probabilities="taught")
    both = made.read(Record({"taught": [0.2, 0.5, 0.3], "label": "good"}, "a", 1))
    soft = made.read(Record({"taught": [0.2, 0.5, 0.3], "label": ""}, "a", 1))
    hard = made.read(Record({"label": "bad"}, "a", 1))
    assert [each["label"] for each in (both, soft, hard)] == [2, 1, 0]
    labels = made.labels([both, soft, hard])["cls"]
    assert labels["classes"].tolist() == [2, 1, 0]
    expected = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(labels["labels"], expected)


def test_the_soft_weight_divides_the_label_between_teacher_and_class() -> None:
    made = classes(probabilities="taught", soft_weight=0.25)
    both = made.read(Record({"taught": [0.2, 0.5, 0.3], "label": "good"}, "a", 1))
    soft = made.read(Record({"taught": [0.2, 0.5, 0.3]}, "a", 1))
    assert both["probabilities"] == pytest.approx([0.05, 0.125, 0.825])
    assert soft["probabilities"] == pytest.approx([0.2, 0.5, 0.3])
    # The cross entropy is linear in the label, so the loss is the mix of both losses.
    logits = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(logits, made.labels([both])["cls"]["labels"])
    taught = F.cross_entropy(logits, torch.tensor([[0.2, 0.5, 0.3]]))
    assert loss.item() == pytest.approx((0.25 * taught + 0.75 * F.cross_entropy(logits, torch.tensor([2]))).item())


def test_samples_for_inference_have_no_label() -> None:
    labels = classes(probabilities="taught").labels([{}, {}])
    assert labels["cls"]["labels"].tolist() == [IGNORE, IGNORE]


def test_a_record_needs_a_class_or_probabilities() -> None:
    with pytest.raises(DataError, match="a:1: no field 'label'; the fields are text"):
        classes(probabilities="taught").read(Record({"text": "x"}, "a", 1))


def test_each_target_of_data_labels_may_have_a_teacher() -> None:
    each = {"a": targets(cls={"num_labels": 3})["cls"], "b": targets(cls={"num_labels": 2})["cls"]}
    data = DataContext(targets=each, labels={"a": "first", "b": "second"})
    made = classes(data, labels={"a": NAMES}, probabilities={"b": "taught"})
    found = made.read(Record({"first": "fair", "second": 1, "taught": [0.4, 0.6]}, "x", 1))
    assert set(found) == {"label:a", "label:b", "probabilities:b"} == set(made.columns)
    labels = made.labels([found])
    assert labels["a"]["labels"].tolist() == [1]
    assert labels["b"]["labels"].tolist() == [pytest.approx([0.4, 0.6])]
    assert labels["b"]["classes"].tolist() == [1]


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 sentences whose first word tells the class; ``teacher`` has learned them."""
    folder = runs.write_project(tmp_path_factory.mktemp("teacher"))
    lines = [f"{runs.WORDS[n % 3]} {runs.WORDS[3 + n % 25]}\t{NAMES[n % 3]}" for n in range(60)]
    (folder / "labelled.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    spec = runs.read_spec(folder)
    spec["model"]["target"] = [{"cls": {"num_labels": 3, "pooling": "mean", "metrics": ["accuracy", "f1_macro"]}}]
    spec["data"] |= {"processor": {"cls": {"max_length": 16, "labels": NAMES}}, "train": "labelled.tsv"}
    spec["train"] |= {"steps": 60}
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "teacher")
    keep = ["--keep", "text", "--keep", "label"]
    runs.run_tp(folder, "predict", "teacher", "--input", "labelled.tsv", "--output", "taught.jsonl", *keep)
    return folder


def taught(home: Path) -> list[str]:
    """The options with which a student learns from the output of ``tp predict``."""
    return [
        f"data.train={home / 'taught.jsonl'}",
        f"data.eval={home / 'taught.jsonl'}",
        "data.columns={text: input_text, label: input_label}",
        "data.processor.cls.probabilities=probabilities",
    ]


def first_batch(home: Path, *changes: str) -> Batch:
    spec = load_spec(home / "spec.yaml", list(changes))
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    rows = prepared_rows(spec, processor, spec.data.options.given("train"))
    samples = [processor.sample(rows, n, generator(0, TRAIN, 0, n)) for n in range(len(rows))]
    return route_of(spec)(processor.collate(samples))


def test_predictions_are_data_for_a_student(home: Path) -> None:
    rows = [json.loads(line) for line in (home / "taught.jsonl").read_text().splitlines()]
    batch = first_batch(home, *taught(home))
    labels = batch.labels["cls"]
    expected = torch.tensor([[row["probabilities"][name] for name in NAMES] for row in rows])
    torch.testing.assert_close(labels["labels"], expected)
    assert labels["classes"].tolist() == [NAMES.index(row["input_label"]) for row in rows]
    said = runs.train(home, "--run", "student", *taught(home))
    (found,) = [line for line in runs.metrics(home / "student") if "eval/loss" in line]
    assert found["eval/cls/accuracy"] > 0.8
    assert "exported student/model" in said


def test_metrics_use_the_class_of_the_record_and_not_the_teachers_opinion(home: Path) -> None:
    batch = first_batch(home, *taught(home))
    wrong = {**batch.labels["cls"], "labels": batch.labels["cls"]["labels"].roll(1, dims=1)}
    model = build_model(load_spec(home / "spec.yaml")).eval()
    with torch.no_grad():
        right, other = (
            model(Batch(batch.source, batch.size, labels={"cls": each})) for each in (batch.labels["cls"], wrong)
        )
    assert torch.equal(right.metrics["cls/accuracy"], other.metrics["cls/accuracy"])
    assert right.loss != other.loss


def test_logits_in_a_table_are_read_as_uers_files_have_them(home: Path) -> None:
    lines = ["label\ttext_a\tlogits", "bad\tba be\t2.5 -1 0", "good\tbo\t-1e1,0.5,3", "fair\tbe\t"]
    (home / "uer.tsv").write_text("\n".join(lines) + "\n")
    options = [
        f"data.train={home / 'uer.tsv'}",
        "data.processor.cls.logits=logits",
        "data.processor.cls.soft_weight=0.5",
    ]
    labels = first_batch(home, *options)
    found = labels.labels["cls"]["labels"]
    soft = softmax(np.array([[2.5, -1, 0], [-10, 0.5, 3]]), axis=1)
    expected = np.concatenate([(soft + np.eye(3)[[0, 2]]) / 2, np.eye(3)[[1]]])
    assert found.numpy() == pytest.approx(expected, abs=1e-6)


def test_a_field_that_no_training_record_has_is_named(home: Path) -> None:
    said = runs.train(home, "--run", "none", "data.processor.cls.probabilities=probs", status=2)
    assert "data.processor.cls.probabilities: no record of the training data has the field 'probs'" in said


def test_the_loss_of_a_student_does_not_depend_on_how_a_batch_is_divided(home: Path) -> None:
    still = [
        *taught(home),
        "model.dropout=0",
        "train.steps=4",
        "train.log_every=1",
        "data.processor.cls.soft_weight=0.5",
    ]
    weights = "model.target=[cls: {num_labels: 3, class_weights: [0.02, 0.01, 0.3], label_smoothing: 0.1}]"
    runs.train(home, "--run", "once", *still, weights)
    runs.train(home, "--run", "parts", *still, weights, "train.accumulate=8")
    one, other = (runs.metrics(home / name)[:4] for name in ("once", "parts"))
    assert [line["loss"] for line in other] == pytest.approx([line["loss"] for line in one], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["probabilities=p", "logits=l"],
            "logits: is a second form of the same labels; give either probabilities or logits",
        ),
        (["temperature=2"], "temperature: is for labels of a teacher; set probabilities or logits to their field"),
        (["soft_weight=0.5"], "soft_weight: is for labels of a teacher"),
        (["logits=l", "soft_weight=0"], "soft_weight: must be greater than 0, got 0"),
        (["probabilities={cls: p}"], "probabilities: 'cls' is no target of data.labels, which has none"),
        (["soft_labels=p"], "unknown option 'soft_labels'; did you mean 'probabilities'?"),
        (["soft_alpha=0.5"], "unknown option 'soft_alpha'; did you mean 'soft_weight'?"),
    ],
)
def test_options_that_contradict_each_other_are_named(home: Path, changes: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(home / "spec.yaml", [f"data.processor.cls.{change}" for change in changes])
    assert message in str(caught.value)


def test_one_field_cannot_be_for_the_labels_of_several_targets(home: Path) -> None:
    changes = ["model.target=[cls: {name: a, num_labels: 3}, cls: {name: b, num_labels: 3}]"]
    changes += ["data.labels={a: label, b: text}", "data.processor.cls.logits=l"]
    with pytest.raises(SpecError) as caught:
        load_spec(home / "spec.yaml", changes)
    assert "logits: is one field, but data.labels has a, b; give a field for each target that has one: {a: l}" in str(
        caught.value
    )


def test_a_teachers_field_needs_the_number_of_classes(home: Path) -> None:
    changes = ["model.target=[mlm]", "data.processor={cls_mlm: {probabilities: p}}"]
    with pytest.raises(SpecError, match="probabilities: needs the number of classes, but no target has num_labels"):
        load_spec(home / "spec.yaml", changes)


def test_an_export_with_a_teachers_field_predicts_and_evaluates_without_it(home: Path) -> None:
    spec = load_spec(home / "spec.yaml", taught(home))
    check_run(spec)
    runs.train(home, "--run", "short", *taught(home), "train.steps=2")
    said = runs.run_tp(home, "evaluate", "short", "--data", "labelled.tsv", "--column", "text=text", "--json")
    assert set(json.loads(said.splitlines()[-1])) == {"loss", "loss/cls", "cls/accuracy", "cls/f1_macro"}
    assert "probabilities" in runs.run_tp(home, "predict", "short", "--text", "ba be")
