"""Commands on trained models go on behind records that cannot be used, and read new records without labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import tp_core
from tests.text.test_bad_data import write_spec
from tp_core import SpecError, load_spec, train
from tp_core.cli.main import cli

TABLE = "review\tstars\nthe film was good\t5\nthe film was bad\t1\n"
COLUMNS = {"text_a": "review", "label": "stars"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classifiers of the stars 1 and 5: ``skip`` goes on behind a bad record, ``fatal`` does not."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "data.tsv").write_text(TABLE)
    for policy in ("skip", "fatal"):
        options = {"labels": {5: "loved", 1: "hated"}}
        keys = {"columns": COLUMNS, "on_bad_record": policy, "options": options}
        file = write_spec(folder, {"cls": {"num_labels": 2}}, "cls", "data.tsv", **keys)
        train(load_spec(file), folder / policy)
    return folder


def tp(*arguments: str | Path) -> tuple[int, str]:
    """Exit status of a command, and what it prints and says."""
    done = CliRunner().invoke(cli, [str(each) for each in arguments])
    return done.exit_code, done.output


def predicted(home: Path, policy: str, source: Path, *options: str) -> list[dict[str, Any]]:
    output = source.with_suffix(".found.jsonl")
    status, said = tp("predict", home / policy, "--input", source, "--output", output, "--device", "cpu", *options)
    assert status == 0, said
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def test_integers_are_read_and_predicted_by_their_names(home: Path) -> None:
    loaded = tp_core.load_model(home / "skip", "cpu")
    (found,) = tp_core.predict(loaded, ["the film was good"])
    assert list(found["probabilities"]) == ["hated", "loved"]  # in the order of the integers
    rows = [("label", "text_a"), (5, "x"), ("loved", "x"), (1, "x"), (2, "x")]
    (home / "named.tsv").write_text("".join(f"{label}\t{text}\n" for label, text in rows))
    said: list[str] = []
    tp_core.evaluate(loaded, str(home / "named.tsv"), columns={"label": "label"}, device="cpu", say=said.append)
    assert any("named.tsv:5: unknown label '2'; the labels are 1 (hated), 5 (loved)" in line for line in said)
    assert any("prepared 3 instances" in line for line in said)


def test_an_exported_model_keeps_the_names_of_integers(home: Path) -> None:
    processor = load_spec(home / "skip" / "model" / "spec.yaml").data.processor
    assert processor is not None
    assert processor.config.labels == {1: "hated", 5: "loved"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"one": "bad", 2: "good"}, "'one' is no integer"),
        ({0: "bad", 1: 7}, "the name of 1 is no text; expected one, such as '7' in quotes"),
        ({0: "caf\u00e9", 1: "cafe\u0301"}, "'caf\u00e9' is listed twice"),
        ({0: "bad", 1: "good", 2: "fine"}, "names 3 classes, but model.target.cls.num_labels is 2"),
        ({}, "names no class"),
    ],
)
def test_names_of_integers_that_cannot_be_are_refused(tmp_path: Path, labels: Any, said: str) -> None:
    (tmp_path / "data.tsv").write_text(TABLE)
    file = write_spec(tmp_path, {"cls": {"num_labels": 2}}, "cls", "data.tsv", options={"labels": labels})
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert said in str(caught.value)


BAD = {
    "columns": (
        b"review\nthe film was good\nx\ty\nthe film was bad\n",
        "a.tsv",
        "expected 1 columns (review), found 2",
    ),
    "bytes": (b'review\nthe film was good\n"x\xff\ny"\nthe film was bad\n', "a.csv", "this line is not UTF-8"),
    "json": (b'{"review": "the film was good"}\n{"rev\n{"review": "the film was bad"}\n', "a.jsonl", "not valid JSON"),
    "list": (b'[{"review": "the film was good"},\n{1},\n{"review": "the film was bad"}]\n', "a.json", "not valid JSON"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_cannot_be_read_has_an_error_in_its_place(home: Path, tmp_path: Path, kind: str) -> None:
    content, name, said = BAD[kind]
    (tmp_path / name).write_bytes(content)
    rows = predicted(home, "skip", tmp_path / name)
    assert ["error" in row for row in rows] == [False, True, False]
    assert f"{tmp_path / name}:" in rows[1]["error"]
    assert said in rows[1]["error"]
    whole = [
        each["probabilities"] for each in tp_core.predict(home / "skip", ["the film was good", "the film was bad"])
    ]
    assert [list(row["probabilities"].values()) for row in (rows[0], rows[2])] == [
        pytest.approx(list(each.values())) for each in whole
    ]
    output = tmp_path / "fatal.jsonl"
    status, told = tp("predict", home / "fatal", "--input", tmp_path / name, "--output", output, "--device", "cpu")
    assert status == 2
    assert said in told
    assert not output.exists()


def test_evaluation_goes_on_behind_bad_records_too(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'review,stars\ngood,5\nbad,1,7\n"x\xff\n",5\nbad,1\nbad,3\n')
    (tmp_path / "good.csv").write_bytes(b"review,stars\ngood,5\nbad,1\n")
    found = [tp("evaluate", home / "skip", "--data", tmp_path / f"{name}.csv", "--json") for name in ("a", "good")]
    assert [status for status, _ in found] == [0, 0]
    assert found[0][1].splitlines()[-1] == found[1][1].splitlines()[-1]
    assert "3 bad records were skipped:" in found[0][1]
    assert tp("evaluate", home / "fatal", "--data", tmp_path / "a.csv")[0] == 2


@pytest.mark.parametrize("command", ["predict", "embed"])
def test_new_records_may_lack_the_columns_of_labels_alone(home: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "a.tsv").write_text("review\tid\nthe film was good\t1\n")
    (tmp_path / "b.tsv").write_text("text\tid\nthe film was good\t1\n")
    output = tmp_path / ("out.npy" if command == "embed" else "out.jsonl")
    arguments: list[str | Path] = [command, home / "fatal", "--output", output, "--device", "cpu"]
    arguments += ["--overwrite", "--input"]
    assert tp(*arguments, tmp_path / "a.tsv")[0] == 0
    status, said = tp(*arguments, tmp_path / "b.tsv")
    assert (status, "there is no column 'review'" in said) == (2, True)
    status, said = tp(*arguments, tmp_path / "a.tsv", "--column", "text_a=review", "--column", "label=stars")
    assert (status, "there is no column 'stars'" in said) == (2, True)
    assert tp(*arguments, tmp_path / "b.tsv", "--column", "text_a=text")[0] == 0
    (tmp_path / "c.tsv").write_text("text_a\nthe film was good\n")
    assert tp(*arguments, tmp_path / "c.tsv")[0] == 0
    (tmp_path / "d.txt").write_text("the film was good\n")
    assert tp(*arguments, tmp_path / "d.txt")[0] == 0
