"""A record may have several samples: windows of a text, whose predictions the processor combines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tp_core
from tests.core import runs
from tp_core.data.sampling.portions import portions

RECORDS = 37
SPEC: dict[str, Any] = {
    "model": {
        "hidden_size": 16,
        "embedding": ["word", {"pos": {"max_length": 32}}],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": {"cls": {"num_labels": 3, "pooling": "mean"}},
    },
    "data": {
        "tokenizer": {"space": {"vocab": "vocab.txt"}},
        "processor": {"windows:Config": {"max_length": 32}},
        "train": "texts.jsonl",
        "eval": "texts.jsonl",
        "cache": "cache",
        "on_bad_record": "skip",
    },
    "train": {
        "steps": 6,
        "batch_size": 8,
        "eval_every": 3,
        "eval_batch_size": 4,
        "loggers": [],
        "optimizer": {"adamw": {"lr": 0.05}},
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trained model in ``run``; texts have 1 to 60 words, which are up to 15 windows."""
    folder = tmp_path_factory.mktemp("windows")
    shutil.copy(Path(__file__).with_name("windows.py"), folder)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, *runs.WORDS]))
    rng = np.random.default_rng(3)
    lines = []
    for number in range(RECORDS):
        words = rng.choice(runs.WORDS, rng.choice([1, 4, 5, 9, 60]))
        lines.append(json.dumps({"text": " ".join(words), "label": int(rng.integers(3)), "id": number}))
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    runs.write_spec(folder, SPEC)
    runs.train(folder, "--run", "run")
    return folder


def texts(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "texts.jsonl").read_text().splitlines()]


def test_a_prediction_is_that_of_all_windows_of_a_record(home: Path) -> None:
    model = tp_core.load_model(home / "run", trust_code=True)
    whole = list(tp_core.predict(model, texts(home), batch_size=5))
    assert [each["windows"] for each in whole] == [-(-len(each["text"].split()) // 4) for each in texts(home)]
    for record, found in zip(texts(home)[:12], whole):
        words = record["text"].split()
        parts = [{"text": " ".join(words[start : start + 4])} for start in range(0, len(words), 4)]
        alone = [each["probabilities"] for each in tp_core.predict(model, parts)]
        assert found["probabilities"] == pytest.approx(np.mean(alone, axis=0), abs=1e-6)


def test_an_evaluation_measures_records_with_any_batch_size(home: Path) -> None:
    model = tp_core.load_model(home / "run", trust_code=True)
    predicted = [each["label"] for each in tp_core.predict(model, texts(home))]
    right = [found == record["label"] for found, record in zip(predicted, texts(home))]
    numbers = np.arange(RECORDS)
    for size in (1, 2, 7, 8, 64, 1000):
        found = tp_core.evaluate(model, texts(home), batch_size=size)
        assert found["record_accuracy"] == pytest.approx(sum(right) / RECORDS)
        assert found["order"] == float(((numbers + 1) * numbers * (1 + np.array(right))).sum())


@pytest.mark.parametrize("size", ["1", "4", "50"])
def test_two_processes_predict_and_measure_what_one_does(home: Path, tmp_path: Path, size: str) -> None:
    common = ["--batch-size", size, "--device", "cpu", "--trust-code"]
    predict = ["predict", "run", "--input", "texts.jsonl", *common, "--output"]
    runs.run_tp(home, *predict, str(tmp_path / "one.jsonl"))
    runs.run_group(home, *predict, str(tmp_path / "two.jsonl"))
    one, two = ((tmp_path / f"{name}.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert len(one) == len(two) == RECORDS
    for first, second in zip(map(json.loads, one), map(json.loads, two)):
        assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-6)
        assert (first["row"], first["windows"]) == (second["row"], second["windows"])
    evaluate = ["evaluate", "run", "--data", "texts.jsonl", "--json", *common]
    alone, shared = runs.run_tp(home, *evaluate), runs.run_group(home, *evaluate)
    figures = [json.loads(next(line for line in said.splitlines() if line.startswith("{"))) for said in (alone, shared)]
    assert figures[0] == pytest.approx(figures[1], abs=1e-6)


def test_evaluations_of_a_training_measure_records(home: Path, tmp_path: Path) -> None:
    expected = [each for each in runs.metrics(home / "run") if "eval/order" in each]
    assert len(expected) == 2
    for options in (["train.workers=2"], ["train.eval_batch_size=3"]):
        runs.train(home, *options, "--run", str(tmp_path / options[0]))
        found = [each for each in runs.metrics(tmp_path / options[0]) if "eval/order" in each]
        for one, other in zip(expected, found, strict=True):
            for name in ("eval/order", "eval/record_accuracy"):
                assert one[name] == pytest.approx(other[name], abs=1e-6)


def test_a_record_that_cannot_be_used_keeps_its_place(home: Path) -> None:
    model = tp_core.load_model(home / "run", trust_code=True)
    records: list[dict[str, Any]] = [{"text": "ba be"}, {"text": "\ud800"}, {"text": "ba be bi bo bu"}]
    found = list(tp_core.predict(model, records))
    assert [("error" in each, each.get("windows")) for each in found] == [(False, 1), (True, None), (False, 2)]


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_every_row_is_in_one_batch_and_a_record_on_one_process(world: int, size: int) -> None:
    rng = np.random.default_rng(world * 10 + size)
    for _ in range(30):
        counts = rng.choice([1, 1, 2, 5, 20], rng.integers(0, 30))
        starts = np.concatenate([[0], np.cumsum(counts)])[:-1].astype(np.int64)
        rows = int(counts.sum())
        shares = [portions(rows, size, starts, rank, world) for rank in range(world)]
        seen = [row for own in shares for each in own for row in each.rows]
        assert sorted(seen) == list(range(rows))
        numbers = [each.number for own in shares for each in own]
        assert sorted(numbers) == list(range(len(numbers)))
        ordered = sorted((each for own in shares for each in own), key=lambda each: each.number)
        assert [row for each in ordered for row in each.rows] == list(range(rows))
        owners: dict[int, int] = {}
        for rank, own in enumerate(shares):
            for each in own:
                assert 0 < len(each.rows) <= size
                for record in each.records:
                    assert owners.setdefault(record, rank) == rank
                last = each.rows[-1] + 1
                assert not each.complete or last == rows or last in starts
            assert [row for each in own for row in each.rows] == sorted(row for each in own for row in each.rows)
        assert len(shares[0]) >= max(map(len, shares)) or size < max(counts, default=0)
