"""Weights of classes in the loss of classifiers: those of the spec, and those that balance the training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from tests.building import CONTENT, batch_of, build, randomised, tokens, worst
from tests.core import runs
from tp_core import Model, evaluate, load_spec
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.spec.checks.run import check_run
from tp_core.spec.errors import SpecError

WEIGHTS = [0.01, 0.3, 2.5, 0.05]
CLASSES = len(WEIGHTS)


def model_of(folder: Path, **options: Any) -> Model:
    model = {
        "hidden_size": 8,
        "vocab_size": 41,
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"cls": {"num_labels": CLASSES, "dropout": 0.0, **options}}],
    }
    return randomised(build(folder, model))


def logits_of(model: Model, batch: Any) -> torch.Tensor:
    logits: torch.Tensor = model.targets["cls"].class_logits(model.encode(batch))  # type: ignore[operator]
    return logits


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("numbers", [[0, 3, 1, 1, 2], [3, IGNORE, 0, IGNORE, 0], [0, 0, 0, 0, 0]])
def test_the_loss_is_torchs_weighted_mean_over_class_numbers(
    tmp_path: Path, numbers: list[int], smoothing: float
) -> None:
    model, labels = model_of(tmp_path, class_weights=WEIGHTS, label_smoothing=smoothing), torch.tensor(numbers)
    batch = batch_of({"cls": {"labels": labels}}, input_ids=tokens(5, 6))
    output = model(batch)
    logits = logits_of(model, batch)
    expected = F.cross_entropy(
        logits, labels, torch.tensor(WEIGHTS), ignore_index=IGNORE, reduction="mean", label_smoothing=smoothing
    )
    assert worst(output.loss, expected) < 1e-5
    (ours,) = torch.autograd.grad(output.loss, model.targets["cls"].classifier.weight, retain_graph=True)  # type: ignore[union-attr]
    (theirs,) = torch.autograd.grad(expected, model.targets["cls"].classifier.weight)  # type: ignore[union-attr]
    assert worst(ours, theirs) < 1e-5
    weighed = sum(WEIGHTS[number] for number in numbers if number != IGNORE)
    assert model.denominators(batch).item() == pytest.approx(weighed, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_probabilities_cost_torchs_weighted_sum_divided_by_their_expected_weight(
    tmp_path: Path, smoothing: float
) -> None:
    model = model_of(tmp_path, class_weights=WEIGHTS, label_smoothing=smoothing)
    labels = torch.rand(5, CLASSES, generator=torch.Generator().manual_seed(3)).softmax(dim=-1)
    batch = batch_of({"cls": {"labels": labels}}, input_ids=tokens(5, 6))
    output = model(batch).outputs["cls"]
    weights = torch.tensor(WEIGHTS)
    sums = F.cross_entropy(logits_of(model, batch), labels, weights, reduction="sum", label_smoothing=smoothing)
    assert worst(output.loss_sum, sums) < 1e-5
    assert worst(output.denominator, (labels * weights).sum()) < 1e-6


def test_certain_probabilities_cost_what_their_class_numbers_cost(tmp_path: Path) -> None:
    model, numbers = model_of(tmp_path, class_weights=WEIGHTS, label_smoothing=0.1), torch.tensor([0, 3, 1, 1, 2])
    ids = tokens(5, 6)
    hard = model(batch_of({"cls": {"labels": numbers}}, input_ids=ids))
    soft = model(batch_of({"cls": {"labels": F.one_hot(numbers, CLASSES).float()}}, input_ids=ids))
    assert worst(soft.loss, hard.loss) < 1e-6
    assert worst(soft.outputs["cls"].denominator, hard.outputs["cls"].denominator) < 1e-6


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_probabilities_of_samples_without_a_class_do_not_count(tmp_path: Path, weights: list[float] | None) -> None:
    model, ids = model_of(tmp_path, class_weights=weights, label_smoothing=0.1), tokens(4, 6)
    soft = torch.rand(4, CLASSES, generator=torch.Generator().manual_seed(3)).softmax(dim=-1)
    labels = {"labels": soft, "classes": torch.tensor([1, IGNORE, 3, IGNORE])}
    some = model(batch_of({"cls": labels}, input_ids=ids))
    kept = {name: value[[0, 2]] for name, value in labels.items()}
    expected = model(batch_of({"cls": kept}, input_ids=ids[[0, 2]]))
    assert worst(some.loss, expected.loss) < 1e-6
    assert worst(some.outputs["cls"].denominator, expected.outputs["cls"].denominator) < 1e-6
    assert torch.equal(some.metrics["cls/accuracy"], expected.metrics["cls/accuracy"])


def test_equal_weights_change_nothing_whatever_their_size(tmp_path: Path) -> None:
    labels = {"cls": {"labels": torch.tensor([0, 3, 1])}}
    plain = model_of(tmp_path)(batch_of(labels, input_ids=tokens(3, 6))).loss
    for weight in (1e-3, 1.0, 50.0):
        weighed = model_of(tmp_path, class_weights=[weight] * CLASSES)(batch_of(labels, input_ids=tokens(3, 6))).loss
        assert worst(weighed, plain) < 1e-6


def test_weights_are_no_weights_of_the_model_and_survive_loading(tmp_path: Path) -> None:
    model, other = model_of(tmp_path, class_weights=WEIGHTS), model_of(tmp_path)
    assert model.weights().keys() == other.weights().keys()
    model.load_weights(other.weights())
    assert model.targets["cls"].loss.weights.tolist() == pytest.approx(WEIGHTS)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": [1.0, 2.0]}, "has 2 numbers, but num_labels is 4; expected one for each class, in order"),
        ({"class_weights": [1.0, 0.0, 1.0, 1.0]}, "class_weights[1]: must be greater than 0, got 0"),
        ({"class_weights": [1.0, 1.0, -2.0, 1.0]}, "class_weights[2]: must be greater than 0, got -2"),
        ({"class_weights": [1.0, 1.0, float("inf"), 1.0]}, "class_weights[2]: expected a finite number"),
        ({"class_weights": "even"}, "expected a list or balanced, got the text 'even'"),
        ({"class_counts": [1, 2, 3, 4]}, "class_counts: is only used by class_weights: balanced; leave it out"),
        ({"class_weights": "balanced", "class_counts": [1, 2]}, "class_counts: has 2 numbers, but num_labels is 4"),
        ({"class_weights": "balanced", "class_counts": [1, 2, 0, 4]}, "class_counts[2]: must be greater than 0, got 0"),
        ({"class_weight": [1.0] * 4}, "unknown option 'class_weight'; did you mean 'class_weights'?"),
        ({"metrics": ["top_5"]}, "top_5 is always 1, because num_labels is 4; expected more than 5 classes"),
        ({"metrics": ["top_4"]}, "did you mean 'top_"),
    ],
)
def test_options_that_do_not_fit_the_classes_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        model_of(tmp_path, **options)
    assert message in str(caught.value)


# -- balanced --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[1, 1], [600, 4799], [3, 1, 90, 7]])
def test_balanced_weights_are_those_of_scikit_learn(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    config = ClassificationConfig(num_labels=len(counts), class_weights="balanced", class_counts=counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    assert config.weights() == pytest.approx(expected.tolist())


def test_a_loss_with_balanced_weights_needs_the_counts(tmp_path: Path) -> None:
    model = model_of(tmp_path, class_weights="balanced")
    with pytest.raises(TPError, match="balanced needs class_counts, the number of training samples of each class"):
        model(batch_of({"cls": {"labels": torch.tensor([0, 1])}}, input_ids=tokens(2, 6)))


#: Samples per class of the training data.
COUNTS = [25, 4, 11]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of three unequally frequent classes with balanced weights; ``whole`` is a run of 12 steps."""
    folder = runs.write_project(tmp_path_factory.mktemp("weights"))
    labels = np.random.default_rng(0).permutation(np.repeat(["bad", "fair", "good"], COUNTS))
    lines = [f"{runs.WORDS[n % 50]} {runs.WORDS[(3 * n) % 50]}\t{label}" for n, label in enumerate(labels)]
    (folder / "labelled.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    spec = runs.read_spec(folder)
    spec["model"] |= {"target": [{"cls": {"num_labels": 3, "class_weights": "balanced"}}], "dropout": 0.0}
    names = ["bad", "fair", "good"]
    spec["data"] |= {"processor": {"cls": {"max_length": 16, "labels": names}}, "train": "labelled.tsv", "balance": 0.5}
    spec["train"] |= {"steps": 12, "log_every": 2}
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "whole")
    return folder


def options_in(spec: Path) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load(spec.read_text())["model"]["target"][0]["cls"]
    return options


def test_a_run_counts_the_classes_and_keeps_the_counts_in_its_specs(home: Path) -> None:
    for spec in (home / "whole" / "spec.yaml", home / "whole" / "model" / "spec.yaml"):
        assert (options_in(spec)["class_weights"], options_in(spec)["class_counts"]) == ("balanced", COUNTS)


def test_an_export_and_a_checkpoint_have_the_loss_of_the_training(home: Path) -> None:
    weights = sum(COUNTS) / (3 * np.array(COUNTS))
    given = ",".join(map(str, weights))
    runs.train(home, "--run", "given", f"model.target=[cls: {{num_labels: 3, class_weights: [{given}]}}]")
    runs.assert_same_weights(runs.weights(home / "given"), runs.weights(home / "whole"))
    expected = evaluate(home / "given" / "model", home / "labelled.tsv")
    assert evaluate(home / "whole" / "model", home / "labelled.tsv") == expected
    assert evaluate(home / "whole" / "checkpoints" / "step_000012", home / "labelled.tsv") == expected


@pytest.mark.parametrize("spec", ["the original spec", "the spec of the run"])
def test_a_resumed_run_with_balance_and_balanced_weights_goes_on_exactly(home: Path, spec: str) -> None:
    run = spec.split()[1]
    (home / "stop.py").write_text(
        "from tp_core import HooksConfig, hookimpl\n\nclass Config(HooksConfig):\n    '''Fails after step 5.'''\n\n"
        "    def build(self):\n        return Stop()\n\nclass Stop:\n    @hookimpl\n"
        "    def tp_step_end(self, trainer, step):\n        assert step < 5\n"
    )
    runs.train(home, "--run", run, "train.hooks=[stop:Config]", status=2)
    given = {"original": "spec.yaml", "spec": f"{run}/spec.yaml"}[run]
    runs.train(home, "--run", run, "--resume", "train.hooks=[]", "--allow-change", "hooks", spec=given)
    runs.assert_same_run(home / run, home / "whole")


def test_two_processes_draw_and_weigh_like_one(home: Path) -> None:
    runs.train_pair(home, "--run", "pair")
    one, two = (runs.metrics(home / name) for name in ("whole", "pair"))
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-4)


def test_a_class_without_a_training_sample_is_named(home: Path) -> None:
    changes = ["model.target=[cls: {num_labels: 4, class_weights: balanced}]", "data.balance=null"]
    names = "data.processor.cls.labels=[bad, fair, good, best]"
    said = runs.train(home, "--run", "none", *changes, names, status=2)
    assert "class_weights: balanced needs samples of each class; the training data have none of: 3 (best)" in said
    changes[0] = changes[0].replace("balanced", "[1, 1, 1, 2]")
    said = runs.train(home, "--run", "drawn", changes[0], "data.balance=1", names, "train.steps=1")
    assert "data.balance: the training data have no sample of: 3 (best)" in said


def test_counts_of_other_data_are_refused(home: Path) -> None:
    target = "model.target=[cls: {num_labels: 3, class_weights: balanced, class_counts: [25, 4, 12]}]"
    said = runs.train(home, "--run", "other", target, status=2)
    assert "class_counts: is [25, 4, 12], but the training data have [25, 4, 11]; leave it out" in said


def test_both_ways_to_balance_at_once_are_noted(home: Path) -> None:
    said = runs.train(home, "--run", "both", "train.steps=1")
    assert "class_weights: balanced makes rare classes count more, and so does data.balance" in said
    assert "does data.balance" not in runs.train(home, "--run", "one", "train.steps=1", "data.balance=null")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["data.processor=bert", "model.target=[mlm, sp]"],
            "data.balance: balances classes, and the processor 'bert' has no class labels; leave it out",
        ),
        (
            [
                "model.target=[cls: {name: a, num_labels: 3}, cls: {name: b, num_labels: 3}]",
                "data.labels={a: label, b: text}",
            ],
            "data.balance: balances the classes of one label, but data.labels names several: a, b; leave it out",
        ),
    ],
)
def test_balance_needs_one_label_with_classes(home: Path, changes: list[str], message: str) -> None:
    spec = load_spec(home / "spec.yaml", changes)
    with pytest.raises(SpecError) as caught:
        check_run(spec)
    assert message in str(caught.value)


def test_balanced_weights_need_a_processor_that_reads_classes(home: Path) -> None:
    (home / "own.py").write_text(
        "from tp_core.options.facts import FieldSpec\nfrom tp_core.options.ports import Port\n"
        "from tp_text.processors.bert_options import BertProcessorConfig\n\n"
        "class Config(BertProcessorConfig):\n    '''BERT with labels that it makes up.'''\n\n"
        "    def provides(self, context):\n"
        "        return super().provides(context) | {Port.labels('cls'): FieldSpec(('batch',), high=3)}\n"
    )
    spec = runs.read_spec(home)
    spec["data"] |= {"processor": "own:Config", "balance": None, "train": "corpus.txt"}
    (home / "own.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError, match="balanced counts the classes of the training data, and the processor 'own:"):
        check_run(load_spec(home / "own.yaml"))


def test_the_counts_do_not_forbid_to_resume_with_the_original_spec(home: Path) -> None:
    newest = json.loads((home / "whole" / "spec.json").read_text())
    assert newest["model"]["target"][0]["cls"]["class_counts"] == COUNTS
    said = runs.train(home, "--run", "whole", "--resume")
    assert "the run is complete" in said
