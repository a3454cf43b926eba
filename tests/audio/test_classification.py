"""Recordings with class labels, as filter banks and as raw waveforms: read, learned, predicted by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from tests.audio.tones import RATE, WORDS, drawn, processor, record, rows_of, tone
from tests.contexts import targets
from tp_core import evaluate, load_model, load_spec, predict, train
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import TPError
from tp_core.options.context import DataContext
from tp_core.spec.checks.run import check_run

LAYERS = {"num_layers": 1, "num_heads": 2, "feed_forward_size": 48, "norm_position": "pre"}
MODELS: dict[str, dict[str, Any]] = {
    "speech_cls": {
        "embedding": {
            "modules": [{"speech": {"num_mel_bins": 20, "channels": 32, "kernel_sizes": [5, 3]}}, "sinusoidal"],
            "norm": "none",
        },
    },
    "waveform_cls": {
        "embedding": {
            "modules": [
                {
                    "waveform": {
                        "channels": [16, 24, 32],
                        "kernels": [20, 8, 4],
                        "strides": [10, 4, 4],
                        "conv_norm": "layer",
                        "mask_padding": True,
                    }
                }
            ],
            "norm": "none",
        },
    },
}
OPTIONS: dict[str, dict[str, Any]] = {
    "speech_cls": {"sampling_rate": RATE, "num_mel_bins": 20, "time_masks": 1, "time_mask_width": 3},
    "waveform_cls": {"sampling_rate": RATE, "mask_time_prob": 0.0, "mask_time_min_masks": 0},
}


def folders(folder: Path, count: int, seed: int = 0) -> Path:
    """A folder of recordings for each word, of several lengths."""
    for word in WORDS:
        (folder / word).mkdir(parents=True)
        for number in range(count):
            samples = tone(word, seconds=0.1 + 0.02 * (number % 4), seed=1000 * seed + number)
            soundfile.write(folder / word / f"{number}.wav", samples, RATE)
    return folder


def spec(folder: Path, name: str, *overrides: str, steps: int = 60) -> Any:
    parts = {
        "tp": 1,
        "model": {
            "hidden_size": 32,
            "dropout": 0.0,
            **MODELS[name],
            "encoder": {"transformer": LAYERS},
            "target": [{"cls": {"num_labels": len(WORDS), "pooling": "mean", "hidden_layer": False}}],
        },
        "data": {
            "processor": {name: {**OPTIONS[name], "labels": list(WORDS)}},
            "train": "train",
            "eval": "test",
            "cache": "cache",
        },
        "train": {
            "steps": steps,
            "batch_size": 16,
            "loggers": [],
            "optimizer": {"adamw": {"lr": 3e-3}},
            "schedule": {"cosine": {"warmup": 0.1}},
            "device": "cpu",
        },
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(parts, sort_keys=False))
    return load_spec(folder / "spec.yaml", list(overrides))


@pytest.mark.parametrize("name", list(MODELS))
def test_sounds_are_told_apart_and_named(tmp_path: Path, name: str) -> None:
    folders(tmp_path / "train", 12)
    test = folders(tmp_path / "test", 4, seed=1)
    run = train(spec(tmp_path, name), tmp_path / "run")
    assert evaluate(run.model, str(test))["cls/accuracy"] >= 0.9
    paths = [f"{word}/{number}.wav" for word in WORDS for number in (0, 3)]
    found = list(predict(load_model(run.model), [{"audio": str(test / path)} for path in paths]))
    assert np.mean([each["label"] == path.partition("/")[0] for each, path in zip(found, paths)]) >= 0.75
    assert list(found[0]["probabilities"]) == list(WORDS)
    # A recording's class does not depend on the longer ones that it is read with.
    alone = next(iter(predict(load_model(run.model), [{"audio": str(test / paths[0])}])))
    assert alone["probabilities"] == pytest.approx(found[0]["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("label", "options", "message"),
    [
        (
            "",
            {},
            "the label '' is no integer; expected an integer from 0 to 2, or list the names in data.processor.speech",
        ),
        ("3", {}, "the label 3 is out of range; expected an integer from 0 to 2"),
        ("lou", {"labels": ["low", "high", "top"]}, "unknown label 'lou'; did you mean 'low'?"),
    ],
)
def test_a_label_that_is_no_class_is_named_by_its_line(
    tmp_path: Path, label: str, options: dict[str, Any], message: str
) -> None:
    soundfile.write(tmp_path / "0.wav", tone("low"), RATE)
    good = options.get("labels", [1])[0]
    (tmp_path / "list.tsv").write_text(f"audio\tlabel\n0.wav\t{good}\n0.wav\t{label}\n")
    made = processor(tmp_path, "speech_cls", DataContext(targets=targets(cls={"num_labels": 3})), **options)
    bad = BadRecords("skip")
    chunks = list(made.prepare(read_records([str(tmp_path / "list.tsv")], {}, bad), bad.report))
    assert [len(chunk["label"]) for chunk in chunks] == [1]
    (found,) = bad.messages
    assert found.startswith(f"{tmp_path / 'list.tsv'}:3: {message}")


def test_a_recording_without_a_label_is_told_where_labels_come_from(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0.wav", tone("low"), RATE)
    made, bad = processor(tmp_path, "speech_cls"), BadRecords("skip")
    assert not list(made.prepare([record(tmp_path / "list.tsv", audio="0.wav")], bad.report))
    fields = "the fields are audio (data.columns renames them)"
    assert f"no field 'label'; {fields}. A recording's label is a column" in bad.messages[0]


def test_recordings_are_masked_in_training_only(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0.wav", tone("low high"), RATE)
    made = processor(tmp_path, "speech_cls", time_masks=2, time_mask_width=4)
    plain = processor(tmp_path, "speech_cls")
    rows = rows_of(made, [record(tmp_path / "list.tsv", audio="0.wav", label="1")], tmp_path)
    evaluated = made.evaluation_sample(rows, 0, generator(3, EVALUATION, 0, 0))
    assert evaluated["label"] == 1
    assert np.array_equal(evaluated["input_features"], drawn(plain, rows, 0)["input_features"])
    assert not np.array_equal(evaluated["input_features"], drawn(made, rows, 0)["input_features"])


def test_a_tone_that_sounds_all_the_time_is_heard(tmp_path: Path) -> None:
    for word in ("low", "high"):
        soundfile.write(tmp_path / f"{word}.wav", tone(word, seconds=0.2)[: int(0.2 * RATE)], RATE)
    made = processor(tmp_path, "speech_cls")
    low, high = (made.encode([record(tmp_path / "list.tsv", audio=f"{w}.wav")])[0] for w in ("low", "high"))
    peaks = [sample["input_features"].mean(axis=0).argmax() for sample in (low, high)]
    assert peaks[0] + 3 < peaks[1]


def test_labels_that_are_not_as_many_as_the_model_has_classes_are_refused(tmp_path: Path) -> None:
    folders(tmp_path / "train", 1)
    folders(tmp_path / "test", 1)
    with pytest.raises(TPError, match=r"names 4 classes, but model\.target\.cls\.num_labels is 5"):
        check_run(spec(tmp_path, "speech_cls", "model.target.cls.num_labels=5"))


def test_a_run_says_what_it_learned(tmp_path: Path) -> None:
    folders(tmp_path / "train", 2)
    folders(tmp_path / "test", 1)
    train(spec(tmp_path, "speech_cls", "train.log_every=2", steps=4), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"loss/cls", "cls/accuracy"} <= set().union(*lines)


@pytest.mark.parametrize("name", list(MODELS))
def test_recordings_have_weights_balance_and_labels_of_a_teacher(tmp_path: Path, name: str) -> None:
    lines = []
    for number, word in enumerate([*WORDS] * 2 + ["low"] * 6):
        soundfile.write(tmp_path / f"{number}.wav", tone(word, seconds=0.1, seed=number), RATE)
        row = {"audio": f"{number}.wav", "label": word}
        lines.append(row | ({"taught": dict(zip(WORDS, [0.4, 0.3, 0.2, 0.1]))} if number % 2 else {}))
    for part in ("train", "test"):
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["data.train=" + str(tmp_path / "train.jsonl"), "data.eval=" + str(tmp_path / "test.jsonl")]
    options += [f"data.processor.{name}.probabilities=taught", "data.balance=1", "train.log_every=1"]
    options += ["model.target.cls.class_weights=balanced", "model.target.cls.label_smoothing=0.1"]
    made = spec(tmp_path, name, *options, steps=3)
    check_run(made)
    run = train(made, tmp_path / "run")
    trained = yaml.safe_load((tmp_path / "run" / "model" / "spec.yaml").read_text())
    assert trained["model"]["target"][0]["cls"]["class_counts"] == [8, 2, 2, 2]
    figures = evaluate(run.model, str(tmp_path / "test.jsonl"))
    assert np.isfinite(list(figures.values())).all()
    assert figures["loss"] == pytest.approx(run.metrics["eval/loss"])
