"""Specs that are given from Python as dictionaries, and what a training gives back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tp_core
from tests.core import runs
from tp_core import SpecError, load_spec

MODEL: dict[str, Any] = {
    "hidden_size": 16,
    "vocab_size": 50,
    "embedding": ["word", {"pos": {"max_length": 32}}],
    "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
    "target": "mlm",
}


def test_a_dictionary_is_the_spec_of_a_file_that_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    expected = load_spec("spec.yaml", ["train.steps=3"])
    found = load_spec(runs.read_spec(tmp_path), ["train.steps=3"])
    assert found.dump() == expected.dump()
    assert found.name == expected.name == "spec"


def test_values_of_python_are_those_of_yaml(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in runs.SPECIAL))
    data = {
        "tokenizer": {"space": {"vocab": tmp_path / "vocab.txt"}},
        "processor": {"mlm": {"max_length": np.int64(8)}},
    }
    train = {"optimizer": {"adamw": {"lr": np.float64(0.5), "betas": (0.8, 0.9)}}}
    found = load_spec({"name": "mine", "model": MODEL, "data": data, "train": train})
    assert found.name == "mine"
    options = found.dump()["train"]["optimizer"]["adamw"]
    assert (options["lr"], list(options["betas"])) == (0.5, [0.8, 0.9])


def test_a_dictionary_may_extend_a_preset() -> None:
    found = load_spec({"name": "mine", "extends": "bert-tiny", "model": {"hidden_size": 64}})
    assert found.dump() == load_spec("bert-tiny", ["model.hidden_size=64", "name=mine"]).dump()


def test_what_is_wrong_with_a_dictionary_is_told_with_its_path() -> None:
    endless: dict[str, Any] = {}
    endless["model"] = endless
    cases: list[tuple[Any, str]] = [
        ({"model": {**MODEL, "hiden_size": 8}}, "the given dictionary: model.hiden_size: .*did you mean 'hidden_size'"),
        ({"model": MODEL, "train": {"steps": object()}}, "train.steps: expected a text, .*, got a object"),
        ({"model": MODEL, "train": {"steps": np.ones(2)}}, "train.steps: expected a text, .*, got a ndarray"),
        ({"model": MODEL, 2.5: 1}, "a key must be a plain text"),
        ({"model": MODEL, 1: 1, "1": 1}, "1: the key '1' is given twice"),
        ({}, "it is empty"),
        (endless, "nested more than 100 levels deep"),
    ]
    for spec, message in cases:
        with pytest.raises(SpecError, match=message):
            load_spec(spec)


def test_a_training_gives_its_last_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.write_project(tmp_path, documents=10)
    monkeypatch.chdir(tmp_path)
    spec = runs.read_spec(tmp_path)
    spec["data"]["eval"] = "held_out.txt"
    spec["train"] |= {"steps": 4, "log_every": 2, "eval_every": 2}
    result = tp_core.train(load_spec(spec), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert result.metrics["step"] == 4
    for name, last in (("loss", "loss"), ("eval/loss", "eval/loss"), ("eval/mlm/accuracy", "eval/mlm/accuracy")):
        assert result.metrics[name] == next(line[last] for line in reversed(lines) if last in line)
    assert result.model is not None
    found = tp_core.evaluate(result.model, str(tmp_path / "held_out.txt"), batch_size=8)
    assert result.metrics["eval/loss"] == pytest.approx(found["loss"], rel=1e-4)


def test_figures_that_are_not_finite_are_nan_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    lines = ['{"step": 1, "loss": 2.0, "auc": 0.5}', "half a li", '{"step": 2, "loss": null}', "[3]", '{"step": 3, "lo']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    found = tp_core.TrainResult(tmp_path, None, 3, None).metrics
    assert (found["step"], found["auc"], math.isnan(found["loss"])) == (2, 0.5, True)
    assert tp_core.TrainResult(tmp_path / "none", None, 0, None).metrics == {}
