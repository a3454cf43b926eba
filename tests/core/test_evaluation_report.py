"""The report of an evaluation: figures per class, the confusion matrix, figures per type of span."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tests.core import runs
from tp_core import evaluate, load_model, predict

NAMES = ["low", "middle", "high"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a classifier of three classes in ``run``, after few steps."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, *runs.WORDS]))
    rng = np.random.default_rng(1)
    rows = [{"text": " ".join(rng.choice(runs.WORDS, 5)), "label": NAMES[rng.integers(3)]} for _ in range(60)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec: dict[str, Any] = {
        "model": {
            "hidden_size": 16,
            "embedding": ["word"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": {"cls": {"num_labels": 3, "pooling": "mean"}},
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"cls": {"labels": NAMES, "max_length": 16}},
            "train": "rows.jsonl",
            "cache": "cache",
        },
        "train": {"steps": 8, "batch_size": 16, "loggers": [], "optimizer": {"adamw": {"lr": 0.02}}},
    }
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "run")
    return folder


def rows(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "rows.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("group", [False, True])
def test_a_report_has_the_figures_of_scikit_learn(home: Path, tmp_path: Path, group: bool) -> None:
    command = ["evaluate", "run", "--data", "rows.jsonl", "--batch-size", "7", "--device", "cpu", "--report"]
    said = (runs.run_group if group else runs.run_tp)(home, *command, str(tmp_path / "report"))
    model = load_model(home / "run", "cpu")
    found = [each["label"] for each in predict(model, [{"text": row["text"]} for row in rows(home)])]
    wanted = [row["label"] for row in rows(home)]
    table = [line.split("\t") for line in (tmp_path / "report" / "cls.classes.tsv").read_text().splitlines()]
    each = precision_recall_fscore_support(wanted, found, labels=NAMES, zero_division=0)
    assert table[0] == ["class", "precision", "recall", "f1", "labels"]
    for number, name in enumerate(NAMES):
        assert table[number + 1][0] == name
        assert [float(cell) for cell in table[number + 1][1:]] == pytest.approx([values[number] for values in each])
    matrix = [line.split("\t") for line in (tmp_path / "report" / "cls.confusion.tsv").read_text().splitlines()]
    assert [[int(cell) for cell in line[1:]] for line in matrix[1:]] == confusion_matrix(
        wanted, found, labels=NAMES
    ).tolist()
    assert (tmp_path / "report" / "cls.confusion.svg").read_text().startswith("<svg")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics == pytest.approx(evaluate(model, str(home / "rows.jsonl")), abs=1e-6)
    assert "cls/classes\nclass" in said


def test_files_of_a_report_are_not_replaced_unasked(home: Path, tmp_path: Path) -> None:
    command = ["evaluate", "run", "--data", "rows.jsonl", "--device", "cpu", "--report"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    said = runs.run_tp(home, *command, str(tmp_path / "own"), status=2)
    assert "own: the folder is not empty; --overwrite replaces files of an earlier report in it" in said
    said = runs.run_tp(home, *command, str(tmp_path / "own"), "--overwrite", status=2)
    assert "own: the folder has files that are not of a report, such as notes.txt; name another one" in said
    assert [each.name for each in (tmp_path / "own").iterdir()] == ["notes.txt"]
    runs.run_tp(home, *command, str(tmp_path / "report"))
    (tmp_path / "report" / "metrics.json").write_text("{}")
    runs.run_tp(home, *command, str(tmp_path / "report"), "--overwrite")
    assert "cls/accuracy" in (tmp_path / "report" / "metrics.json").read_text()
    said = runs.run_tp(home, *command, str(tmp_path / "no" / "folder"), status=2)
    assert "there is no such folder" in said
    said = runs.run_tp(home, *command, str(home / "rows.jsonl"), status=2)
    assert "this is a file; expected the name of a folder" in said


def test_without_a_report_there_are_no_tables(home: Path) -> None:
    assert "class " not in runs.run_tp(home, "evaluate", "run", "--data", "rows.jsonl", "--device", "cpu")


def test_tables_are_given_in_python(home: Path) -> None:
    tables: dict[str, Any] = {}
    evaluate(load_model(home / "run", "cpu"), str(home / "rows.jsonl"), tables=tables)
    assert list(tables) == ["cls/classes", "cls/confusion"]
    assert int(tables["cls/confusion"].matrix.counts.sum()) == 60
