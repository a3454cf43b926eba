"""Recordings with sets of classes or with numbers, as filter banks and as raw waveforms."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from tests.audio.test_classification import LAYERS, MODELS, OPTIONS
from tests.audio.tones import RATE, WORDS, tone
from tests.contexts import targets
from tp_core import DataContext, evaluate, load_spec, predict, train
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.testing import check_module
from tp_core.testing.specs import config_class_of


def files(folder: Path, split: str, count: int) -> None:
    """A table of recordings of two words each, with the set of both words and the number of high ones."""
    rng = np.random.default_rng(len(split))
    rows = ["audio\twords\thigh"]
    for number in range(count):
        words = rng.choice([*WORDS], 2).tolist()
        soundfile.write(folder / f"{split}{number}.wav", tone(" ".join(words), seconds=0.06, seed=number), RATE)
        rows.append(
            f"{split}{number}.wav\t{','.join(dict.fromkeys(words))}\t{sum(w in ('high', 'top') for w in words)}"
        )
    (folder / f"{split}.tsv").write_text("".join(f"{row}\n" for row in rows))


@pytest.mark.parametrize("form", ["speech", "waveform"])
def test_the_processors_conform(form: str) -> None:
    recordings = [soundfile_bytes(tone("low high", seconds=0.05 + n / 100, seed=n)) for n in range(6)]
    options = OPTIONS["speech_cls"] if form == "speech" else {"sampling_rate": RATE, "mask_time_length": 2}
    sets = [{"audio": each, "label": [[], [1], [0, 2]][n % 3]} for n, each in enumerate(recordings)]
    three = DataContext(targets=targets(multi_label={"num_labels": 3}))
    check_module(f"{form}_multi_label", "processor", options, records=sets, data=three)
    numbers = [{"audio": each, "label": n / 3 if n else ""} for n, each in enumerate(recordings)]
    check_module(f"{form}_regression", "processor", {**options, "allow_missing": True}, records=numbers)


def soundfile_bytes(samples: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "label", "message"),
    [
        ("speech_multi_label", "low,lou", "unknown label 'lou'; did you mean 'low'?"),
        ("waveform_multi_label", "low,low", "the label 'low' is listed twice"),
        ("speech_regression", "n/a", "the label is 'n/a'; expected a number"),
        ("waveform_regression", "", "the label is empty; expected a number"),
    ],
)
def test_a_label_that_does_not_fit_is_named_by_its_line(tmp_path: Path, name: str, label: str, message: str) -> None:
    soundfile.write(tmp_path / "0.wav", tone("low"), RATE)
    good = "1" if name.endswith("regression") else "low"
    (tmp_path / "list.tsv").write_text(f"audio\tlabel\n0.wav\t{good}\n0.wav\t{label}\n")
    names = {} if name.endswith("regression") else {"labels": [*WORDS]}
    made: Any = config_class_of("processor", name)(**OPTIONS[f"{name.partition('_')[0]}_cls"], **names)
    bad = BadRecords("skip")
    processor = made.build(DataContext(), None)
    chunks = list(processor.prepare(read_records([str(tmp_path / "list.tsv")], {}, bad), bad.report))
    assert [len(chunk["label"]) for chunk in chunks] == [1]
    (found,) = bad.messages
    assert found.startswith(f"{tmp_path / 'list.tsv'}:3: {message}")


@pytest.mark.parametrize(
    ("task", "column", "metric"), [("multi_label", "words", "f1_micro"), ("regression", "high", "pearson")]
)
def test_both_are_learned(tmp_path: Path, task: str, column: str, metric: str) -> None:
    files(tmp_path, "train", 64)
    files(tmp_path, "test", 16)
    options: dict[str, Any] = {"num_labels": len(WORDS)} if task == "multi_label" else {}
    names = {"labels": [*WORDS]} if task == "multi_label" else {}
    parts = {
        "tp": 1,
        "model": {
            "hidden_size": 32,
            "dropout": 0.0,
            **MODELS["speech_cls"],
            "encoder": {"transformer": LAYERS},
            "target": [{task: {"pooling": "mean", "hidden_layer": False, **options}}],
        },
        "data": {
            "processor": {f"speech_{task}": {**OPTIONS["speech_cls"], **names}},
            "train": "train.tsv",
            "columns": {"label": column},
            "cache": "cache",
        },
        "train": {
            "steps": 80,
            "batch_size": 16,
            "loggers": [],
            "optimizer": {"adamw": {"lr": 5e-3}},
            "schedule": {"cosine": {"warmup": 0.1}},
            "device": "cpu",
        },
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(parts))
    run = train(load_spec(tmp_path / "spec.yaml"), tmp_path / "run")
    assert evaluate(run.model, str(tmp_path / "test.tsv"))[f"{task}/{metric}"] > 0.8
    (found,) = predict(run.model, [{"audio": str(tmp_path / "test0.wav")}])
    assert [*found][-2:] == ["labels", "probabilities"] if task == "multi_label" else [*found][-1] == "value"
