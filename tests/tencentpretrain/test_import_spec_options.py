"""Every option of a command line is in the spec, or named in a note."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.tencentpretrain.shapes import SHAPES
from tests.tencentpretrain.test_import_spec import imported
from tp_core import TPError
from tp_tencentpretrain.original.flags import DATA, MODEL, TRAINING, Flag
from tp_tencentpretrain.spec_import import build
from tp_tencentpretrain.spec_import.shortest import shortest

_shortest = cache(lambda text: shortest(json.loads(text)))


@pytest.fixture(autouse=True)
def models_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model is shortened once in all tests."""
    monkeypatch.setattr(build, "shortest", lambda model: copy.deepcopy(_shortest(json.dumps(model))))


#: Options that name what the command line trains on, so that others do not stand beside them.
_OTHER_DATA = {"train_path", "dataset_path_list"}

#: Masks are always dynamic.
_ALWAYS = {"dynamic_masking"}

_VALUES: dict[str, str] = {
    "tokenizer": "char",
    "scheduler": "cosine",
    "data_processor": "mlm",
    "optimizer": "adafactor",
    "corpus_path": "other.txt",
    "epochs_num": "5",
}


def words_of(name: str, flag: Flag) -> list[str]:
    """An option with a value that is not its default."""
    if flag.kind is bool:
        return [f"--{name}"]
    value = _VALUES.get(name) or (flag.known[-1] if flag.known else {int: "3", float: "0.37", str: "x.txt"}[flag.kind])
    return [f"--{name}", value]


def check_option(name: str, flag: Flag, folder: Path, config: dict[str, Any], line: list[str]) -> None:
    before, _ = imported(folder, config, *line)
    try:
        after, notes = imported(folder, config, *line, *words_of(name, flag))
    except TPError as error:
        after, notes = before, [str(error)]
    assert before != after or any(f"--{name}" in note or "x.txt" in note for note in notes), notes


@pytest.mark.parametrize("name", sorted({**DATA, **TRAINING}.keys() - _OTHER_DATA - _ALWAYS))
@pytest.mark.parametrize("processor", ["bert", "t5"])
def test_an_option_of_a_pre_training_is_used_or_named(name: str, processor: str, tmp_path: Path) -> None:
    line = f"pretrain.py --corpus_path corpus.txt --vocab_path v.txt --data_processor {processor}".split()
    if name == "dataset_path":  # the file between preprocess.py and pretrain.py
        line = ["pretrain.py"]
    check_option(name, {**DATA, **TRAINING}[name], tmp_path, SHAPES[processor], line)


@pytest.mark.parametrize("name", sorted({**DATA, **TRAINING}.keys() - _OTHER_DATA - {"corpus_path"}))
def test_an_option_of_a_fine_tuning_is_used_or_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("label\ttext_a\n0\tba\n1\tbe\n")
    line = f"run_classifier.py --train_path {tmp_path / 'train.tsv'} --vocab_path v.txt".split()
    check_option(name, {**DATA, **TRAINING}[name], tmp_path, SHAPES["bert"], line)


_MODEL_VALUES = {
    "embedding": "word",
    "target": "lm",
    "encoder": "lstm",
    "decoder": "transformer",
    "layernorm": "rms",
    "layernorm_positioning": "pre",
    "feed_forward": "gated",
    "mask": "causal",
}


@pytest.mark.parametrize("name", sorted(MODEL))
@pytest.mark.parametrize("script", ["pretrain", "run_classifier"])
def test_an_option_of_the_model_is_used_or_named(name: str, script: str, tmp_path: Path) -> None:
    flag = MODEL[name]
    value = _MODEL_VALUES.get(name) or (flag.known[0] if flag.known else "24" if flag.kind is int else "0.25")
    words = [f"--{name}", *([] if flag.kind is bool else [value])]
    (tmp_path / "train.tsv").write_text("label\ttext_a\n0\tba\n1\tbe\n")
    data = "--corpus_path corpus.txt" if script == "pretrain" else f"--train_path {tmp_path / 'train.tsv'}"
    line = f"{script}.py {data} --vocab_path v.txt".split()
    config = {key: value for key, value in SHAPES["bert"].items() if not (flag.kind is bool and key == name)}
    before, _ = imported(tmp_path, config, *line)
    try:
        after, notes = imported(tmp_path, config, *line, *words)
    except TPError as error:  # such as a feed-forward part that the layers cannot have
        after, notes = before, [f"--{name}: {error}"]
    assert before != after or any(f"--{name}" in note for note in notes), notes


def test_options_of_both_scripts_may_stand_together(tmp_path: Path) -> None:
    first = "python3 preprocess.py --corpus_path c.txt --vocab_path v.txt --dataset_path d.pt --seq_length 64"
    second = "python3 pretrain.py --dataset_path d.pt --vocab_path v.txt --total_steps 10 --data_processor lm"
    expected, notes = imported(tmp_path, SHAPES["gpt2"], *f"{first} && {second}".split())
    assert expected["data"]["train"] == "c.txt"
    assert expected["data"]["processor"] == {"lm": {"max_length": 64, "pack": False}}
    assert expected["train"]["steps"] == 10
    assert notes == []
    for line in (
        [f"{first} ; {second}"],
        [f"{first}; {second}"],
        [f"{first} \\\n && {second} | tee log"],
        [f"cd TencentPretrain && {first}\n\n{second} >log.txt 2>&1 &  # the second stage"],
        [first, second],
    ):
        assert imported(tmp_path, SHAPES["gpt2"], *line) == (expected, [])
    for line in ([" "], ["&&"], [";"]):
        with pytest.raises(TPError, match="the command line is empty"):
            imported(tmp_path, SHAPES["gpt2"], *line)
    with pytest.raises(TPError, match="several trainings"):
        imported(tmp_path, SHAPES["gpt2"], f"{first} ; {second} ; {first} ; {second}")
    _, notes = imported(tmp_path, SHAPES["gpt2"], *f"{first} --seed 3 && {second} --seed 4".split())
    assert notes == ["--seed has two values, 3 and 4: the spec has the second"]


def test_options_of_a_launcher_are_named(tmp_path: Path) -> None:
    line = "CUDA_VISIBLE_DEVICES=0 deepspeed --num_gpus 4 --hostfile h pretrain.py --corpus_path c.txt --total_steps 10"
    tree, notes = imported(tmp_path, SHAPES["bert"], *line.split())
    assert tree["train"]["steps"] == 10
    assert tree["train"]["batch_size"] == 128
    assert any("options of the launcher are not read (--hostfile)" in note for note in notes)
    assert any("start 4 processes" in note for note in notes)
