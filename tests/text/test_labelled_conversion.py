"""Multi-label classifiers and regressions of tp as models of transformers: names, thresholds, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tp_core
from tests.building import randomised, worst
from tests.core import runs
from tests.text.checkpoints import find, quiet, save
from tests.text.parity import TOLERANCE
from tp_core import build_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.errors import TPError
from tp_core.interop.description import describe

transformers = pytest.importorskip("transformers")

SETS = {"multi_label": {"labels": ["weather", "sport", "art"]}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return runs.write_project(tmp_path)


def spec_of(home: Path, target: Any, processor: dict[str, Any]) -> Any:
    spec = runs.read_spec(home)
    spec["model"]["target"] = target if isinstance(target, list) else [target]
    spec["data"] |= {"processor": processor}
    (home / "spec.yaml").write_text(yaml.safe_dump(spec))
    return load_spec(home / "spec.yaml")


def headed(home: Path, *targets: Any) -> Any:
    """The spec of a model with these targets, without data."""
    return load_spec({"tp": 1, "model": {**runs.read_spec(home)["model"], "vocab_size": 60, "target": [*targets]}})


def exported(home: Path, target: Any, processor: dict[str, Any]) -> Any:
    """A model of ours in a folder, with random weights."""
    spec = spec_of(home, target, processor)
    model = randomised(build_model(spec)).eval()
    export_model(spec, model.weights(), {}, home / "ours")
    return model


def written(home: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    folder = tp_core.convert("tp", home / "ours", "huggingface", home / "theirs", say=said.append, **options)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config, said


def theirs(home: Path) -> Any:
    quiet()
    cls = transformers.AutoModelForSequenceClassification
    model, info = cls.from_pretrained(home / "theirs", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    return model.eval()


def test_a_multi_label_classifier_computes_the_same_in_transformers(home: Path) -> None:
    model = exported(home, {"multi_label": {"num_labels": 3}}, SETS)
    config, said = written(home)
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "weather", "1": "sport", "2": "art"}
    assert not said
    ids, labels = torch.randint(5, 50, (4, 7)), torch.randint(0, 2, (4, 3)).float()
    inputs = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids)}
    with torch.no_grad():
        found = theirs(home)(**inputs, labels=labels)
        batch = tp_core.Batch.of(inputs, 4, labels={"multi_label": {"labels": labels}})
        assert worst(model.targets["multi_label"].class_logits(model.encode(batch)), found.logits) < TOLERANCE
        assert worst(model(batch).loss, found.loss) < TOLERANCE


@pytest.mark.parametrize(
    ("outputs", "processor", "names"),
    [
        (1, {}, {"0": "LABEL_0"}),
        (1, {"names": ["similarity"]}, {"0": "similarity"}),
        (2, {"names": ["valence", "arousal"]}, {"0": "valence", "1": "arousal"}),
        (2, {"fields": ["valence", "arousal"]}, {"0": "valence", "1": "arousal"}),
    ],
)
def test_a_regression_keeps_the_names_of_its_outputs_both_ways(
    home: Path, outputs: int, processor: dict[str, Any], names: dict[str, str]
) -> None:
    model = exported(home, {"regression": {"outputs": outputs, "loss": "huber"}}, {"regression": processor})
    config, _ = written(home)
    assert (config["problem_type"], config["id2label"]) == ("regression", names)
    ids = torch.randint(5, 50, (3, 7))
    inputs = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids)}
    with torch.no_grad():
        found = theirs(home)(**inputs).logits
        values = model.targets["regression"].values(model.encode(tp_core.Batch.of(inputs, 3)))
    assert worst(values, found) < TOLERANCE
    tp_core.convert("huggingface", home / "theirs", "tp", home / "again")
    again = load_spec(home / "again" / "spec.yaml")
    (target,) = again.model.targets
    assert (target.name, target.config.outputs) == ("regression", outputs)  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{"threshold": 0.3}, {"tune_threshold": "per_class"}])
def test_thresholds_are_not_written_and_a_note_says_so(home: Path, options: dict[str, Any]) -> None:
    exported(home, {"multi_label": {"num_labels": 3, **options}}, SETS)
    config, said = written(home)
    assert said == [
        "transformers has no thresholds: it gives probabilities, and the thresholds of the model are not written"
    ]
    assert not any("threshold" in name for name in theirs(home).state_dict())
    assert not any("threshold" in key for key in config)


def test_options_of_predictions_are_not_written_and_a_note_says_so(home: Path) -> None:
    exported(home, {"qa": {"max_answer_length": 60}}, {"qa": {"max_length": 16}})
    _, said = written(home)
    assert said == [
        "model.target.qa.max_answer_length is 60 and is not written: it is an option of the prediction there, and not "
        "of the model"
    ]
    tp_core.convert("huggingface", home / "theirs", "tp", home / "again")
    (target,) = load_spec(home / "again" / "spec.yaml").model.targets
    assert target.config.max_answer_length == 30  # type: ignore[attr-defined]


def test_a_single_label_that_is_decided_by_itself_stays_one(tmp_path: Path) -> None:
    save(find("BertForSequenceClassification"), tmp_path / "theirs")
    file = tmp_path / "theirs" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "problem_type": "multi_label_classification"}))
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    (target,) = load_spec(tmp_path / "ours" / "spec.yaml").model.targets
    assert (target.name, target.config.num_labels) == ("multi_label", 3)  # type: ignore[attr-defined]


def test_a_head_that_is_chosen_leaves_the_others_out(home: Path) -> None:
    found = describe(headed(home, "regression", "mlm", "sp"), "BertForSequenceClassification", None)
    assert [target.instance_name for target in found.spec.model.targets] == ["regression"]
    assert found.config["problem_type"] == "regression"
    with pytest.raises(TPError, match="has no cls or multi_label or regression, which Roberta"):
        describe(headed(home, "mlm"), "RobertaForSequenceClassification", None)


def test_two_heads_in_place_of_one_are_no_architecture(home: Path) -> None:
    with pytest.raises(TPError, match=r"'bert' has heads for .*\[cls\] or \[multi_label\] or \[regression\]"):
        describe(headed(home, "multi_label", "regression"), None, "bert")


def test_another_task_does_not_get_the_problem_of_the_model_that_it_began_with(home: Path) -> None:
    origin = {"model_type": "bert", "problem_type": "multi_label_classification"}
    assert "problem_type" not in describe(spec_of(home, {"cls": {}}, {"cls": {}}), None, None, origin).config
    regression = describe(spec_of(home, {"regression": {}}, {"regression": {}}), None, None, origin)
    assert regression.config["problem_type"] == "regression"
