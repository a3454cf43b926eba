"""Sources of data sets of multiple choice: C3, RACE and ChID."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.text.corpora import processor
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.testing import check_module
from tp_text.sources.options import C3Config, ChidConfig, RaceConfig


def written(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def read(config: Any) -> tuple[list[Record], list[str]]:
    errors: list[DataError] = []
    return list(config.build().records(errors.append)), [str(error) for error in errors]


# -- C3 --------------------------------------------------------------------------------------------------------------

QUESTIONS = [
    {"question": "w5?", "choice": ["w1", "w2", "w3"], "answer": "w2"},
    {"question": "w6?", "choice": ["w1", "w4"], "answer": "w4", "id": "own"},
]
C3 = [[["w1 w2", "w3"], QUESTIONS, "m-1"], [["w9"], [{"question": "w7", "choice": ["w1", "w2"]}], "m-2"]]


def test_c3_gives_a_record_for_each_question(tmp_path: Path) -> None:
    records, errors = read(C3Config(path=str(written(tmp_path / "c3.json", C3))))
    assert not errors
    assert [record.value for record in records] == [
        {"context": "w1 w2\nw3", "question": "w5?", "choices": ["w1", "w2", "w3"], "label": "w2", "id": "m-1-0"},
        {"context": "w1 w2\nw3", "question": "w6?", "choices": ["w1", "w4"], "label": "w4", "id": "own"},
        {"context": "w9", "question": "w7", "choices": ["w1", "w2"], "id": "m-2-0"},
    ]
    assert [record.line for record in records] == [1, 1, 1]
    indented = json.dumps(C3, indent=1)
    again, _ = read(C3Config(path=str(written(tmp_path / "indented.json", indented))))
    assert [record.value for record in again] == [record.value for record in records]
    where = [number for number, line in enumerate(indented.splitlines(), 1) if line == " ["]
    assert [record.line for record in again] == [where[0], where[0], where[1]]
    (chunk,) = processor(tmp_path, "choice").prepare(records[:2], lambda error: None)
    assert chunk["label"] == [1, 1]


def test_c3_conforms(tmp_path: Path) -> None:
    bad = [*C3, {"a": 1}, [["w1"]], ["w1", []], [["w1"], {}], [[1], []], [["w1"], ["w2"]]]
    path = written(tmp_path / "c3.json", bad)
    check_module("c3", "source", {"path": str(path)}, change=lambda: written(path, C3[:1]), bad=6)
    lines = "[\n" + ",\n".join(map(json.dumps, bad)) + "]\n"
    _, errors = read(C3Config(path=str(written(tmp_path / "c3.json", lines))))
    assert [error.partition(".json:")[2] for error in errors] == [
        "4: expected [texts, questions, id], found an object",
        "5: expected [texts, questions, id], found a list of 1",
        "6: expected a list of texts as the first part of [texts, questions, id]",
        "7: expected a list of questions as the second part, found an object",
        "8: expected a list of texts as the first part of [texts, questions, id]",
        "9: expected an object of a question, found a text",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[\n[["w"], []]\n[', r"c3.json:3: not valid JSON: Expecting ',' delimiter \(column 1\)"),
        ("[\n[[]", r"c3.json:2: not valid JSON: Expecting ',' delimiter \(column 4\)"),
        ('[\n[["w"], []]]\n]', r"c3.json:3: not valid JSON: Extra data \(column 1\)"),
        ("[] 5", r"Extra data \(column 4\)"),
        ("", "c3.json:1: not valid JSON: Expecting value"),
        ("5", "expected a list of .texts, questions, id., found a number"),
        ("{}", "expected a list of .texts, questions, id., found an object"),
        ('[["w1"]]', "found a list of 1"),
        ("[" * 100_000, "not usable JSON: nested too deeply"),
    ],
)
def test_a_file_that_is_no_c3_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "c3.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        for _ in C3Config(path=str(path)).build().records(_raise):
            pass


def _raise(error: DataError) -> None:
    raise error


def test_a_file_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c3.json").write_bytes('["\u4e2d"]'.encode("gb18030"))
    with pytest.raises(DataError, match="is no text in UTF-8"):
        list(C3Config(path=str(tmp_path / "c3.json")).build().records(_raise))


# -- RACE ------------------------------------------------------------------------------------------------------------

PASSAGE = {
    "article": "w1 w2",
    "questions": ["w5 _ .", "w6"],
    "options": [["w1", "w2", "w3", "w4"], ["w5", "w6", "w7", "w8"]],
    "answers": ["C", "A"],
    "id": "high1.txt",
}


def test_race_gives_a_record_for_each_question_of_each_file(tmp_path: Path) -> None:
    written(tmp_path / "train/middle/7.txt", {name: PASSAGE[name] for name in ("article", "questions", "options")})
    written(tmp_path / "train/high/1.txt", PASSAGE)
    written(tmp_path / "train/high/README.md", "no passage")
    records, errors = read(RaceConfig(path=str(tmp_path / "train")))
    assert not errors
    assert [record.value.get("label") for record in records] == ["C", "A", None, None]
    assert [record.value["id"] for record in records] == ["high1.txt-0", "high1.txt-1", "7.txt-0", "7.txt-1"]
    assert records[0].value == {
        "context": "w1 w2",
        "question": "w5 _ .",
        "choices": ["w1", "w2", "w3", "w4"],
        "label": "C",
        "id": "high1.txt-0",
    }
    (chunk,) = processor(tmp_path, "choice", blank="_").prepare(records[:2], _raise)
    assert chunk["label"] == [2, 0]
    alone, _ = read(RaceConfig(path=str(tmp_path / "train/high/1.txt")))
    assert [record.value for record in alone] == [record.value for record in records[:2]]


def test_race_conforms(tmp_path: Path) -> None:
    good = written(tmp_path / "race/2.txt", PASSAGE)
    written(tmp_path / "race/1.txt", "[1]")
    written(tmp_path / "race/3.txt", {**PASSAGE, "answers": ["A"]})
    written(tmp_path / "race/4.txt", {**PASSAGE, "options": "w1"})
    written(tmp_path / "race/5.txt", {**PASSAGE, "article": None})
    written(tmp_path / "race/6.txt", "{")
    _, errors = read(RaceConfig(path=str(tmp_path / "race")))
    assert [error.partition("race/")[2] for error in errors] == [
        "1.txt:1: expected an object with an article, found a list",
        "3.txt:1: the passage has 2 questions, 2 options, 1 answers; expected as many of each",
        "4.txt:1: expected a list in 'options', found a text",
        "5.txt:1: expected a text in 'article', found null",
        "6.txt:1: not valid JSON: Expecting property name enclosed in double quotes (column 2)",
    ]
    changed = {**PASSAGE, "answers": ["A", "A"]}
    check_module("race", "source", {"path": str(tmp_path / "race")}, change=lambda: written(good, changed), bad=5)


def test_a_folder_without_passages_is_a_problem(tmp_path: Path) -> None:
    written(tmp_path / "race/a.json", PASSAGE)
    (problem,) = RaceConfig(path=str(tmp_path / "race")).check_data()
    assert "has no .txt files" in problem.message
    with pytest.raises(DataError, match=r"has no \.txt files"):
        read(RaceConfig(path=str(tmp_path / "race")))


# -- ChID ------------------------------------------------------------------------------------------------------------

SHARED = {"content": ["w1 #idiom000003# w2", "#idiom000001# w3"], "candidates": ["w1", "w2", "w3"]}
OWN = {
    "content": "w1 #idiom# w2 #idiom#",
    "realCount": 2,
    "candidates": [["w1", "w2"], ["w3", "w4"]],
    "groundTruth": ["w2", "w3"],
}


def lines(path: Path, *values: Any) -> Path:
    return written(path, "".join(json.dumps(value) + "\n" for value in values))


def test_chid_reads_answers_of_another_file(tmp_path: Path) -> None:
    data = lines(tmp_path / "train.json", SHARED)
    answers = written(tmp_path / "answers.json", {"#idiom000001#": 0, "#idiom000003#": 2, "#idiom000009#": 1})
    (record,), errors = read(ChidConfig(path=str(data), answers=str(answers)))
    assert (record.value, errors) == (
        {"context": SHARED["content"], "choices": SHARED["candidates"], "label": [2, 0]},
        [],
    )
    (chunk,) = processor(tmp_path, "cloze").prepare([record], _raise)
    assert chunk["label"] == [2, 0]
    (new,), _ = read(ChidConfig(path=str(data)))
    assert "label" not in new.value


def test_chid_reads_answers_of_the_lines(tmp_path: Path) -> None:
    (record,), errors = read(ChidConfig(path=str(lines(tmp_path / "train.txt", OWN))))
    assert not errors
    (chunk,) = processor(tmp_path, "cloze").prepare([record], _raise)
    assert chunk["label"] == [1, 0]


def test_chid_conforms(tmp_path: Path) -> None:
    data = lines(tmp_path / "train.json", SHARED, {"content": ["#idiom000004#"], "candidates": ["w1"]}, [1], {"a": 1})
    answers = written(tmp_path / "answers.json", {"#idiom000001#": 0, "#idiom000003#": 2})
    options = {"path": str(data), "answers": str(answers)}
    _, errors = read(ChidConfig(**options))
    assert [error.partition("train.json:")[2] for error in errors] == [
        f"2: {answers} has no answer for the blank #idiom000004#",
        "3: expected a JSON object, found a list",
        "4: no field 'content'; the fields are a",
    ]
    changed = {"#idiom000001#": 1, "#idiom000003#": 2}
    check_module("chid", "source", options, change=lambda: written(answers, changed), bad=3)


def test_answers_that_are_no_object_are_an_error(tmp_path: Path) -> None:
    answers = written(tmp_path / "answers.json", [1])
    config = ChidConfig(path=str(lines(tmp_path / "train.json", SHARED)), answers=str(answers))
    with pytest.raises(DataError, match="expected an object of answers by blank, found a list"):
        read(config)
