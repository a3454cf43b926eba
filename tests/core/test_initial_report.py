"""A run that starts from another model says which weights start at random, loudly where that may be a mistake."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.core import runs
from tp_core import load_model
from tp_core.errors import TPError
from tp_core.terminal import emphasised
from tp_core.training.initial_weights import REPORT, InitialWeights, grouped, read_report

REMINDER = "of this model's parameters started at random"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trained model in ``first``."""
    folder = tmp_path_factory.mktemp("report")
    runs.write_project(folder, steps=2, log_every=1)
    runs.train(folder, "--run", "first")
    return folder


def sizes(home: Path, prefix: str) -> tuple[int, int, int]:
    """Number of tensors and parameters of the weights with a prefix, and of parameters of all."""
    weights = runs.weights(home / "first")
    own = [value.numel() for name, value in weights.items() if name.startswith(prefix)]
    return len(own), sum(own), sum(value.numel() for value in weights.values())


def test_a_new_target_is_a_calm_line_with_counts_and_what_is_not_used(home: Path) -> None:
    target = 'model.target=["mlm", {"sp": {"name": "order"}}]'
    said = runs.train(home, "--run", "calm", "init_from=first", target)
    tensors, own, total = sizes(home, "targets.sp.")
    counts = f"{tensors} tensors, {own:,} parameters"
    assert "WARNING" not in said
    assert f"loaded {len(runs.weights(home / 'first')) - tensors} weights from " in said
    share = f"{100 * own / total:.1f} %"
    assert f"{own:,} of {total:,} parameters ({share}) start at random: targets.order ({counts})\n" in said
    assert f"not used of {home / 'first'}: targets.sp ({counts})\n" in said
    assert REMINDER not in said
    report = json.loads((home / "calm" / REPORT).read_text())
    reason = f"not in {home / 'first'}"
    assert report["random"] == [{"module": "targets.order", "tensors": tensors, "parameters": own, "reason": reason}]
    assert report["random_parameters"] == own
    assert report["parameters"] == total
    assert report["alarms"] == []


def test_a_model_that_is_loaded_completely_has_nothing_at_random(home: Path) -> None:
    said = runs.train(home, "--run", "same", "init_from=first")
    assert "at random" not in said
    assert "not used" not in said
    assert json.loads((home / "same" / REPORT).read_text())["random"] == []


def test_a_body_at_random_is_a_warning_that_the_end_of_the_run_repeats(home: Path) -> None:
    said = runs.train(home, "--run", "alarming", "init_from={encoder: first}")
    lines = said.splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.startswith("WARNING: ") and REMINDER not in line)
    tensors, words, total = sizes(home, "embedding.parts.word.")
    rest = sum(sizes(home, prefix)[1] for prefix in ("embedding.", "targets."))
    assert f"{rest:,} of {total:,} parameters ({100 * rest / total:.1f} %) start at random: not only targets" in said
    assert lines[first].endswith(
        "but also embedding.parts.word, embedding.parts.pos, embedding.parts.seg, embedding.norm"
    )
    assert lines[first + 1].split() == [
        *("embedding.parts.word", str(tensors), "tensor,", f"{words:,}", "parameters:"),
        *("init_from", "names", "no", "model", "for", "it"),
    ]
    assert "require_init: [weights] makes this an error" in said
    assert first < next(number for number, line in enumerate(lines) if line.startswith("training "))
    assert REMINDER in lines[-1] or REMINDER in lines[-2]
    (unused,) = (line for line in lines if line.startswith(f"not used of {home / 'first'}: "))
    assert f"embedding.parts.word (1 tensor, {words:,} parameters)" in unused
    assert "encoder" not in unused.partition(": ")[2]
    assert len(json.loads((home / "alarming" / REPORT).read_text())["alarms"]) == 1


def test_a_resumed_run_repeats_the_warning_at_its_end(home: Path) -> None:
    runs.train(home, "--run", "stops", "init_from={embedding: first}", "train.steps=4", "train.checkpoint_every=2")
    shutil.rmtree(home / "stops" / "checkpoints" / "step_000004")
    shutil.rmtree(home / "stops" / "model")
    spec = ("init_from={embedding: first}", "train.steps=4", "train.checkpoint_every=2")
    said = runs.train(home, "--run", "stops", "--resume", *spec)
    assert "start at random" not in said
    assert said.count(REMINDER) == 1


def test_of_two_processes_one_warns(home: Path) -> None:
    said = runs.train_pair(home, "--run", "pair", "init_from={target: first}")
    assert said.count("start at random: not only targets") == 1
    assert said.count(REMINDER) == 1
    assert "nothing of embedding, encoder and decoder was loaded" in said
    assert "more than half of the model" in said


def test_a_target_of_another_shape_has_its_reason(home: Path) -> None:
    (home / "labels.tsv").write_text("label\ttext_a\n" + "".join(f"{n % 3}\tba bo\n" for n in range(12)))
    data = ['data.processor={cls: {labels: ["0", "1", "2"]}}', "data.train=labels.tsv", "train.batch_size=4"]
    two = "model.target=[{cls: {num_labels: 4}}]"
    runs.train(home, "--run", "four", two, *data[1:], 'data.processor={cls: {labels: ["0", "1", "2", "3"]}}')
    said = runs.train(home, "--run", "three", "init_from=four", "model.target=[{cls: {num_labels: 3}}]", *data)
    assert "WARNING" not in said
    assert "start at random: targets.cls.classifier (2 tensors, 51 parameters)" in said
    (found,) = json.loads((home / "three" / REPORT).read_text())["random"]
    assert found["reason"] in [
        f"its shape is {four} in {home / 'four'}, {three} here" for four, three in [((4, 16), (3, 16)), ((4,), (3,))]
    ]


def test_weights_that_are_required_end_the_run_before_it_starts(home: Path) -> None:
    said = runs.train(home, "--run", "required", "init_from={encoder: first}", "require_init=[weights]", status=2)
    assert "require_init asks for all weights, and there are none for embedding.norm" in said
    assert not (home / "required").exists()


# -- groups and words --------------------------------------------------------------------------------------------------


def test_weights_are_grouped_by_component_or_by_layer_where_a_part_was_loaded() -> None:
    names = [
        *("embedding.parts.word.table.weight", "embedding.parts.pos.table.weight", "embedding.norm.weight"),
        *("encoder.layers.0.mixer.qkv.weight", "encoder.layers.0.norm.weight", "encoder.layers.1.norm.weight"),
        *("encoder.layers.10.norm.weight", "streams.a.encoder.layers.0.w", "streams.a.embedding.parts.word.table.w"),
        *("targets.cls.classifier.weight", "targets.cls.classifier.bias", "decoder.scale", "fusion.layers.0.w"),
    ]
    some = dict.fromkeys(names, 10)
    whole = grouped(some, dict.fromkeys(names, ""))
    assert [(group.module, group.tensors) for group in whole] == [
        *(("embedding.parts.word", 1), ("embedding.parts.pos", 1), ("embedding.norm", 1), ("encoder", 4)),
        *(("streams.a.encoder", 1), ("streams.a.embedding.parts.word", 1), ("targets.cls", 2)),
        *(("decoder", 1), ("fusion", 1)),
    ]
    layers = grouped(some, dict.fromkeys([name for name in names if "encoder.layers.1" in name], "why"))
    assert [(group.module, group.parameters, group.reason) for group in layers] == [
        ("encoder.layers.1", 10, "why"),
        ("encoder.layers.10", 10, "why"),
    ]


@pytest.mark.parametrize(
    ("random", "loads_body", "expected"),
    [
        ({}, True, []),
        ({"targets.cls.w": 400}, True, []),
        ({"targets.cls.w": 600}, True, ["more than half of the model"]),
        ({"embedding.parts.word.w": 1}, True, ["not only targets, but also embedding.parts.word"]),
        ({"targets.cls.w": 10}, False, ["nothing of embedding, encoder and decoder was loaded"]),
    ],
)
def test_only_a_new_target_of_a_smaller_part_is_expected(
    random: dict[str, int], loads_body: bool, expected: list[str]
) -> None:
    report = InitialWeights(1000, grouped(random, dict.fromkeys(random, "")), loads_body=loads_body)
    assert report.alarms() == expected
    assert bool(report.reminder()) == bool(expected)


def test_a_small_share_is_not_shown_as_none() -> None:
    report = InitialWeights(86_123_456, grouped({"targets.cls.w": 12}, {"targets.cls.w": ""}))
    assert next(report.lines()) == (
        "12 of 86,123,456 parameters (less than 0.1 %) start at random: targets.cls (1 tensor, 12 parameters)"
    )


@pytest.mark.parametrize("content", [None, "{", "[]", '{"parameters": 3}'])
def test_a_report_that_cannot_be_read_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / REPORT).write_text(content)
    assert read_report(tmp_path) is None


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    groups = grouped({"targets.cls.w": 12}, {"targets.cls.w": "why"})
    report = InitialWeights(20, groups, {"path": groups}, False)
    report.write(tmp_path)
    assert read_report(tmp_path) == report


def test_a_warning_is_bold_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        text = "WARNING: one\n  two"
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert emphasised(text, terminal) == "\x1b[33m\x1b[1mWARNING: one\x1b[0m\n  two"
        assert emphasised("one", terminal) == "one"
        assert emphasised(text, io.StringIO()) == text
        monkeypatch.setenv("NO_COLOR", "1")
        assert emphasised(text, terminal) == text
    os.close(ours)


def test_a_folder_of_hugging_face_is_answered_with_the_command_that_converts_it(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model_type": "bert"}
    (tmp_path / "config.json").write_text(json.dumps(options))
    with pytest.raises(TPError, match="this is a model of Hugging Face; tp convert --from huggingface"):
        load_model(tmp_path)
