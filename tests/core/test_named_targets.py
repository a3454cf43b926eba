"""Several targets of one kind: each has a name of its own, by which the model, data sets and settings know it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.core import runs
from tp_core import build_model, evaluate, load_model, load_spec, predict
from tp_core.errors import TPError
from tp_core.spec.choices.part_names import TAKEN


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One encoder with two classifiers, of a sentence's first word and of how many words it has."""
    folder = runs.write_project(tmp_path_factory.mktemp("named"), log_every=4, eval_every=8)
    for name, label in (
        ("parity", lambda words: runs.WORDS.index(words[0]) % 2),
        ("length", lambda words: len(words) - 2),
    ):
        lines = [f"{' '.join(w)}\t{label(w)}" for n in range(40) if (w := runs.WORDS[n % 9 : n % 9 + 2 + n % 3])]
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    spec = runs.read_spec(folder)
    spec["model"]["target"] = [
        {"cls": {"name": "parity", "num_labels": 2, "hidden_layer": False}},
        {"cls": {"name": "length", "num_labels": 3, "hidden_layer": False}},
    ]
    data = spec["data"]
    data.pop("processor")
    data.pop("train")
    data["sets"] = {
        name: {
            "processor": {"cls": {"max_length": 16}},
            "train": f"{name}.tsv",
            "eval": f"{name}.tsv",
            "targets": [name],
        }
        for name in ("parity", "length")
    }
    runs.write_spec(folder, spec)
    return folder


def spec_of(home: Path, *overrides: str) -> Any:
    return load_spec(home / "spec.yaml", list(overrides))


def test_each_has_weights_of_its_own(home: Path) -> None:
    weights = build_model(spec_of(home)).state_dict()
    shapes = {name: tuple(weights[f"targets.{name}.classifier.weight"].shape) for name in ("parity", "length")}
    assert shapes == {"parity": (2, 16), "length": (3, 16)}


def test_each_is_trained_measured_and_asked_by_its_data_set(home: Path) -> None:
    runs.train(home, "--run", "run", "train.steps=40", "train.optimizer.adamw.lr=3e-3")
    lines = runs.metrics(home / "run")
    assert {"loss/parity", "loss/length"} <= set().union(*lines)
    assert {"eval/loss/parity/parity", "eval/loss/length/length"} <= set().union(*lines)
    for name, classes in (("parity", 2), ("length", 3)):
        loaded = load_model(home / "run", data_set=name)
        (found,) = predict(loaded, [runs.WORDS[0]])
        assert len(found["probabilities"]) == classes
        assert f"{name}/accuracy" in evaluate(loaded, str(home / f"{name}.tsv"))


def test_settings_and_children_address_a_target_by_its_own_name(home: Path, tmp_path: Path) -> None:
    spec = spec_of(home, "model.target.length.num_labels=7", "model.target.length.weight=0.5")
    assert [target.config.num_labels for target in spec.model.targets] == [2, 7]
    assert [target.config.weight for target in spec.model.targets] == [1.0, 0.5]
    child = tmp_path / "child.yaml"
    child.write_text(
        f"extends: {home}/spec.yaml\nmodel:\n  target: [cls: {{name: length, weight: 2.0}}, cls: {{name: parity}}]\n"
    )
    targets = [(t.instance_name, t.config.num_labels, t.config.weight) for t in load_spec(child).model.targets]
    assert targets == [("length", 3, 2.0), ("parity", 2, 1.0)]


def test_a_renamed_target_keeps_its_options(home: Path) -> None:
    spec = spec_of(home, "model.target.length.name=words", "data.sets.length.targets=[words]")
    assert [(t.instance_name, t.config.num_labels) for t in spec.model.targets] == [("parity", 2), ("words", 3)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.target.length.name=parity", "'parity' is listed twice; give one of them its own name"),
        (
            "model.target.length.name='two words'",
            "the name 'two words' must begin with a letter and have only letters, digits, '_' and '-'",
        ),
        ("model.target.length.name=keys", "the name 'keys' is reserved by PyTorch; choose another"),
        ("model.target.lengt.num_labels=2", "it has parity, length; did you mean 'length'?"),
        ("data.sets.length.targets=[cls]", "the model has no target 'cls'; the targets are parity, length"),
        ("model.target=[cls, cls]", "'cls' is listed twice; give one of them its own name"),
    ],
)
def test_a_name_that_cannot_be_is_said(home: Path, setting: str, message: str) -> None:
    from tp_core.spec.checks.run import check_run

    with pytest.raises(TPError) as error:
        check_run(spec_of(home, setting))
    assert message in str(error.value)


def test_names_that_containers_of_modules_cannot_keep_are_known() -> None:
    from torch import nn

    container = nn.ModuleDict()
    names = [name for name in dir(container) if not name.startswith("_")]
    # Other libraries, once imported, add some of their own, which are nothing to whoever does not use them.
    makers = {name: getattr(getattr(container, name), "__module__", "torch") for name in names}
    assert {name for name, maker in makers.items() if maker.partition(".")[0] in ("torch", "typing")} <= TAKEN


@pytest.mark.parametrize("name", ["values", "a.b", "1"])
def test_a_stream_with_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    stream = {"embedding": ["word", "pos"], "encoder": "transformer"}
    parts = {"tp": 1, "model": {"streams": {name: stream, "other": stream}, "target": ["clr"]}}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(parts, sort_keys=False))
    with pytest.raises(TPError, match=f"the name '{name}' (must|is)"):
        load_spec(tmp_path / "spec.yaml")
