"""Predictions in the forms of the original's inference scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import tp_core
from tests.tencentpretrain.test_heads import PAIRS, TWO, Home
from tp_core.cli.main import cli

CLASS = {"row": 1, "label": 1, "probabilities": [0.25, 0.75]}
NAMED = {"row": 2, "label": "no", "probabilities": {"yes": 0.5, "no": 0.5}}
LABELS = {"row": 1, "labels": [0, 3], "probabilities": [0.9, 0.1, 0.2, 0.8]}
NONE = {"row": 2, "labels": [], "probabilities": [0.1, 0.1, 0.1, 0.1]}
SEVERAL = {"row": 1, "first": {"label": 1, "probabilities": [0.5, 0.5]}, "second": {"label": 0, "probabilities": [1.0]}}


def run(folder: Path, rows: list[Any], *options: str) -> tuple[int, str]:
    """The exit status, and the file written or the message."""
    given, made = folder / "rows.jsonl", folder / "made"
    given.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = CliRunner().invoke(cli, ["original-predictions", str(given), "--output", str(made), *options])
    return result.exit_code, made.read_text() if result.exit_code == 0 else result.output + result.stderr


@pytest.mark.parametrize(
    ("task", "rows", "expected"),
    [
        ("classifier", [CLASS, NAMED], "label\n1\nno\n"),
        ("classifier --prob", [CLASS, NAMED], "label\tprob\n1\t0.25 0.75\nno\t0.5 0.5\n"),
        ("siamese", [CLASS], "label\n1\n"),
        ("multi_label", [LABELS, NONE], "label\n0,3\n\n"),
        ("multi_label --prob", [LABELS], "label\tprob\n0,3\t0.9 0.1 0.2 0.8\n"),
        ("multi_task", [SEVERAL], "label-0\tlabel-1\n1\t0\n"),
        ("multi_task --prob", [SEVERAL], "label-0\tprob-0\tlabel-1\tprob-1\n1\t0.5 0.5\t0\t1.0\n"),
        ("regression", [{"row": 1, "value": 3.5}], "label\n3.5\n"),
        ("ner", [{"row": 1, "words": ["a", "b"], "tags": ["O", "B-PER"]}], "pred_label\nO B-PER \n"),
        ("cmrc", [{"row": 1, "input_id": "Q1", "answer": "中国"}], '{\n    "Q1": "中国"\n}\n'),
        ("c3", [{"row": 1, "input_id": "7", "label": 2}, {"row": 2, "input_id": "x-1", "label": 0}],
         '{"id": 7, "label": 2}\n{"id": "x-1", "label": 0}\n'),
        ("chid", [{"row": 1, "blanks": [{"blank": "#idiom1#", "label": 2}, {"blank": "#idiom2#", "label": 0}]}],
         '{\n  "#idiom1#": 2,\n  "#idiom2#": 0\n}\n'),
        ("text2text", [{"row": 1, "text": "one\ntwo", "finished": True}], "label\none two\n"),
    ],
)  # fmt: skip
def test_the_file_of_a_task(task: str, rows: list[Any], expected: str, tmp_path: Path) -> None:
    assert run(tmp_path, rows, "--task", *task.split()) == (0, expected)


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("cmrc", [{"row": 1, "answer": "x"}], "rows.jsonl:1: the row has no 'input_id'; predict with --keep id"),
        ("cmrc", [{"input_id": "a", "answer": "x"}] * 2, "rows.jsonl:2: the id a is there twice"),
        ("regression", [CLASS], "rows.jsonl:1: a prediction of regression has 'value', this row has not"),
        ("classifier", [CLASS, {"row": 2, "error": "too long"}], "rows.jsonl:2: the record has no prediction: too"),
        ("classifier", [{"row": 1, "label": None}], "'label' of a prediction of classifier cannot be null"),
        ("multi_task", [CLASS], "a prediction of multi_task has one of each task"),
        ("ner --prob", [], "predictions of ner have no probabilities"),
        ("classifier", [], "the file has no predictions"),
        ("classifier", [[1]], "rows.jsonl:1: expected a JSON object"),
    ],
)
def test_rows_that_are_no_predictions_of_the_task(task: str, rows: list[Any], message: str, tmp_path: Path) -> None:
    code, said = run(tmp_path, rows, "--task", *task.split())
    assert code == 2
    assert message in " ".join(said.split())
    assert not (tmp_path / "made").exists()


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    assert run(tmp_path, [CLASS], "--task", "classifier")[0] == 0
    code, said = run(tmp_path, [CLASS], "--task", "classifier")
    assert code == 2
    assert "--overwrite" in said
    same = str(tmp_path / "rows.jsonl")
    result = CliRunner().invoke(
        cli, ["original-predictions", same, "--task", "classifier", "--output", same, "--overwrite"]
    )
    assert result.exit_code == 2
    assert json.loads(Path(same).read_text()) == CLASS


def test_predictions_of_a_converted_model_are_those_of_the_script(tmp_path: Path) -> None:
    home = Home(tmp_path, TWO)
    rows = list(tp_core.predict(home.convert(), [{"text_a": a, "text_b": b} for a, b in PAIRS]))
    _, text = run(tmp_path, rows, "--task", "classifier", "--prob")
    assert [line.split("\t")[0] for line in text.splitlines()] == ["label", *(str(row["label"]) for row in rows)]
