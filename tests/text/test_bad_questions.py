"""Questions that cannot be used are reported with their place, and with what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import records, refuse, rows_of
from tests.text.questions import CONTEXT, asked, evaluated, made, text_of
from tp_core.errors import DataError
from tp_core.interfaces import Record

BAD: list[tuple[dict[str, Any], str]] = [
    ({"answers": {"text": ["w99"], "answer_start": [0]}}, "the answer 'w99' is not in the context"),
    ({"answers": ["W12"]}, "the answer 'W12' is not in the context, which has 'w12' at 10"),
    (
        {"answers": {"text": ["w12"], "answer_start": [9]}},
        "answer_start of the answer 'w12' is 9, but the context has this text at 10",
    ),
    ({"answers": [{"text": "w12", "answer_start": -1}]}, "answer_start of the answer 'w12' is -1, but the context"),
    ({"answers": [{"text": "w12", "answer_start": "9"}]}, "expected a number of characters in 'answer_start', got '9'"),
    ({"answers": [{"text": "w12", "answer_start": True}]}, "expected a number of characters in 'answer_start'"),
    ({"answers": {"text": ["w12"], "answer_start": []}}, "'answers' has 1 texts and 0 of answer_start"),
    ({"answers": {"texts": ["w12"]}}, "the fields of 'answers' are texts; expected {text: [...], answer_start: [...]}"),
    ({"answers": "w12"}, "'answers' is 'w12'; expected {text: [...], answer_start: [...]}, or a list"),
    ({"answers": [7]}, "an answer is '7'; expected {text: [...], answer_start: [...]}, or a list"),
    ({"answers": [{"text": ["w12"]}]}, "expected a text in 'text', got a list"),
    ({"answers": [" "]}, "an answer is empty; a question without an answer has an empty list"),
    ({"answers": []}, "there is no answer; data.processor.qa.unanswerable: true allows such questions"),
    ({"answers": [], "is_impossible": False}, "there is no answer, but is_impossible is false"),
    ({"is_impossible": True}, "is_impossible is true, but there is an answer 'w12'"),
    ({"is_impossible": "no"}, "expected true or false in 'is_impossible', got 'no'"),
    ({"answers": None}, "no field 'answers'; the fields are question, context, answers (null)"),
    ({"question": " "}, "the question is empty"),
    ({"question": None}, "no field 'question'; the fields are question (null), context, answers"),
    ({"context": "", "answers": []}, "the context is empty"),
    ({"context": "\u200b\x00", "answers": ["\x00"]}, "the tokenizer makes no tokens of the context"),
    ({"context": "w1 \x00 w2", "answers": ["\x00"]}, "the tokenizer makes no tokens of the answer"),
    ({"context": "\ud800", "answers": []}, "character 1 of 'context' is half of a surrogate pair"),
    ({"id": "a"}, "the id 'a' is used twice; first at corpus.txt:1 (id a)"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_bad_questions_are_reported_with_their_place(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    processor = made(tmp_path)
    bad = {**asked("w12"), **fields}
    good = asked("w10", id="a")
    given, said = records([good, bad, {**good, "id": "b"}]), list[DataError]()
    chunks = list(processor.prepare(iter(given), said.append))
    assert [str(error).startswith(f"corpus.txt:2: {message}") for error in said] == [True], said
    alone = list(processor.prepare(iter(records([good])), refuse))
    assert sum(len(chunk["ids"]) for chunk in chunks) == 2 * sum(len(chunk["ids"]) for chunk in alone)


def test_messages_have_the_id_of_the_question(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^dev.json:1: the answer 'w99' is not in the context \(id Q7\)$"):
        list(made(tmp_path).prepare([Record({**asked(), "answers": ["w99"], "id": "Q7"}, "dev.json", 1)], refuse))


@pytest.mark.parametrize("fields", [{"question": ""}, {"context": " "}, {"context": "\x00"}, {"question": None}])
def test_new_questions_that_cannot_be_answered_are_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^corpus\.txt:1: "):
        made(tmp_path).divide(records([{"question": "w1", "context": "w2", **fields}]))


def test_new_questions_need_no_answers_and_ignore_them(tmp_path: Path) -> None:
    processor = made(tmp_path)
    bare, labelled = {"question": "w1", "context": CONTEXT}, {"answers": ["w99"], "id": "a", "is_impossible": 7}
    one, other = (processor.divide(records([each]))[0] for each in (bare, bare | labelled))
    assert all((a["input_ids"] == b["input_ids"]).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["list", "columns"])
def test_both_forms_of_answers_are_the_same(tmp_path: Path, kind: str) -> None:
    processor = made(tmp_path)
    given = asked("w12", "w10")
    if kind == "list":
        pairs = zip(given["answers"]["text"], given["answers"]["answer_start"])
        given["answers"] = [{"text": text, "answer_start": np.int64(start)} for text, start in pairs]
    rows = rows_of(tmp_path, processor, records([given]))
    assert evaluated(processor, rows)[0]["answers"] == ["w12", "w10"]
    assert text_of(processor, evaluated(processor, rows)[0], CONTEXT) == "w12"
