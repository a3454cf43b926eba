"""Values that cannot work are found by ``tp check``, each at its place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from tests.core.runs import read_spec, write_project, write_spec
from tp_core import load_spec, train
from tp_core.cli.main import cli
from tp_core.spec.checks.limits import _FLOAT_LEAST, _FLOAT_MOST, faults, name_fault


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("limits"))


VALUES = {
    "train.optimizer.adamw.betas=[1,0.999]": "train.optimizer.adamw.betas[0]: must be less than 1, got 1",
    "train.optimizer.adamw.betas=[0.9,1.5]": "train.optimizer.adamw.betas[1]: must be less than 1, got 1.5",
    "train.optimizer.adamw.lr=1e-45": "train.optimizer.adamw.lr: must be at least 1.17549e-38, or numbers overflow",
    "train.optimizer.adamw.lr=1e300": "train.optimizer.adamw.lr: is 1e+300, and the numbers of models (float32) end at",
    "train.steps=1000000000000000000000000000000000": "train.steps: must be at most 9007199254740992, got a number",
    "train.seed=9223372036854775808": "train.seed: must be less than 9223372036854775808, got 9223372036854775808",
    "train.workers=100000": "train.workers: must be at most 4096, got 100000",
    "train=[]": "train: expected a mapping, got a list",
    "data.train=[]": "data.train: names no file; expected one or more paths",
    "data.eval=[]": "data.eval: names no file; expected one or more paths",
    "data.train=''": "data.train: is empty; expected a path",
    "data.train=[corpus.txt, ' ']": "data.train[1]: is empty; expected a path",
    'data.tokenizer.space.vocab="a\\0b"': "data.tokenizer.space.vocab: has a null character; expected a path",
    "model.hidden_size=1000000000": "model.hidden_size: must be at most 1048576, got 1000000000",
    "model.num_layers=1000000000": "model.num_layers: must be at most 10000, got 1000000000",
    "model.vocab_size=1000000000000000": "model.vocab_size: must be at most 1073741824",
    "model.embedding.pos.max_length=1000000000000": "model.embedding.pos.max_length: must be at most 134217728",
    "model.embedding.seg.num_segments=1": "seg.num_segments: is 1, and the rows of data.processor.bert have 2 segments",
    "inference.generate.temperature=1e-45": "inference.generate.temperature: must be at least 1e-06, or numbers",
    "inference.generate.beams=100000000": "inference.generate.beams: must be at most 10000, got 100000000",
    "name=../../x": "name: names a folder of runs/, and cannot lead out of it",
    "name=a\\b": "name: names a folder of runs/, and cannot lead out of it",
    "name=..": "name: names a folder of runs/, and cannot lead out of it",
    "name=''": "name: is empty; expected a name, or leave it out",
    'name="a\\u001bb"': "name: has control characters",
    f"name={'é' * 101}": "name: is too long for the name of a folder: 202 bytes, expected at most 200",
}


@pytest.mark.parametrize(("setting", "said"), VALUES.items(), ids=[each[:40] for each in VALUES])
def test_a_value_that_cannot_work_is_found_by_a_check(project: Path, setting: str, said: str) -> None:
    result = CliRunner().invoke(cli, ["check", str(project / "spec.yaml"), setting])
    assert result.exit_code == 2, (result.output, result.exception)
    assert said in result.output
    assert len([line for line in result.output.splitlines() if line.startswith("command line:")]) == 1


@pytest.mark.parametrize("value", [0, 1, 0.0, -1.5, 2**31 - 1, True, "x", None, [1, [2.5]], {"a": {"b": 3}}])
def test_ordinary_values_have_no_fault(value: object) -> None:
    assert list(faults("anything", value)) == []


def test_the_smallest_and_the_largest_float_are_those_of_float32() -> None:
    facts = np.finfo(np.float32)
    assert (float(facts.smallest_normal), float(facts.max)) == (_FLOAT_LEAST, _FLOAT_MOST)
    assert list(faults("x", [_FLOAT_LEAST, -_FLOAT_MOST])) == []
    assert [fault.place for fault in faults("x", [_FLOAT_LEAST / 2, 1.0, _FLOAT_MOST * 2])] == [(0,), (2,)]


def test_limits_hold_within_mappings_of_options() -> None:
    assert [fault.place for fault in faults("parts", {"hidden_size": {"text": 10**9}, "other": 10**9})] == [
        ("hidden_size", "text")
    ]


@pytest.mark.parametrize("name", ["bert", "my run", "a.b", "été", "..x", "-", "x" * 200])
def test_a_name_that_a_folder_can_have_is_no_fault(tmp_path: Path, name: str) -> None:
    assert name_fault(name) == ""
    (tmp_path / name).mkdir()
    assert os.listdir(tmp_path) == [name]


def test_a_pair_of_texts_for_a_model_of_one_segment_is_a_message(tmp_path: Path) -> None:
    project = write_project(tmp_path / "pairs", steps=1)
    spec = read_spec(project)
    spec["model"] |= {"embedding": ["word", {"seg": {"num_segments": 1}}], "target": {"cls": {"num_labels": 2}}}
    spec["data"] |= {"processor": {"cls": {"max_length": 32}}, "train": "pairs.tsv"}
    write_spec(project, spec)
    (project / "pairs.tsv").write_text("text_a\ttext_b\tlabel\nba be\tbi\t0\nbo\tbu\t1\n")
    result = CliRunner().invoke(cli, ["train", str(project / "spec.yaml"), "--run", str(tmp_path / "run")])
    assert result.exit_code == 2, (result.output, result.exception)
    assert "a pair of texts has 2 segments, more than num_segments of the embedding 'seg'" in result.output
    (project / "pairs.tsv").write_text("text_a\tlabel\nba be\t0\nbo\t1\n")  # one text has one
    result = CliRunner().invoke(cli, ["train", str(project / "spec.yaml"), "--run", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output


def test_the_size_of_a_model_is_compared_with_its_weights_before_memory_is_asked_for(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", documents=8, steps=1)
    train(load_spec(project / "spec.yaml"), tmp_path / "run")
    spec = tmp_path / "run" / "model" / "spec.yaml"
    (spec.parent / "manifest.json").unlink()
    tree = yaml.safe_load(spec.read_text())
    tree["model"]["embedding"]["modules"] = [
        "word",
        {"pos": {"max_length": 2**27}},
        {"seg": {"num_segments": 2**31 - 1}},
    ]
    spec.write_text(yaml.safe_dump(tree))
    result = CliRunner().invoke(cli, ["embed", str(spec.parent), "--text", "ba", "--output", str(tmp_path / "a.npy")])
    assert result.exit_code == 2, (result.output, result.exception)
    assert "the weights do not fit the model" in result.output
    assert "this model's has (2147483647, 16)" in result.output
