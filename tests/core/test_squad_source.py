"""Questions in the nested JSON of SQuAD, CMRC 2018 and DRCD become records."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tp_core.data.sources import json_text
from tp_core.data.sources.options import JsonConfig, SquadConfig
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.options.choice import chosen_of

ASKED = {"id": "q1", "question": "who?", "answers": [{"text": "Ada", "answer_start": 0}], "is_impossible": False}
OTHER = {"question": "when?", "id": "q2", "answers": []}
SQUAD = {
    "version": "2.0",
    "data": [
        {"title": "one", "paragraphs": [{"qas": [ASKED, OTHER], "context": "Ada sat."}, {"context": "x", "qas": []}]},
        {"paragraphs": [], "title": "two"},
        {"id": "a", "title": "三", "paragraphs": [{"id": "p", "context": "二〇一八年", "qas": [OTHER]}]},
    ],
}
EXPECTED = [
    {**ASKED, "context": "Ada sat."},
    {**OTHER, "context": "Ada sat."},
    {**OTHER, "context": "二〇一八年"},
]


def write(folder: Path, content: Any, name: str = "a.json", **form: Any) -> str:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content, **form)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def read(path: str, config: Any = None, bad: BadRecords | None = None) -> list[tuple[dict[str, Any], int]]:
    given = path if config is None else chosen_of(config(path=path))
    return [(record.value, record.line) for record in read_records([given], bad=bad)]


@pytest.mark.parametrize("config", [None, JsonConfig, SquadConfig])
@pytest.mark.parametrize("form", [{}, {"indent": 1}, {"indent": 4, "ensure_ascii": False}])
def test_a_question_is_a_record_with_the_context_of_its_paragraph(tmp_path: Path, config: Any, form: Any) -> None:
    assert [value for value, _ in read(write(tmp_path, SQUAD, **form), config)] == EXPECTED


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_file_of_questions_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    assert len(read(write(tmp_path, SQUAD, name))) == 3
    assert read(write(tmp_path, {"data": [ASKED]}, "a.json")) == [({"data": [ASKED]}, 1)]
    assert read(write(tmp_path, [ASKED, OTHER], "a.json")) == [(ASKED, 1), (OTHER, 1)]
    assert read(write(tmp_path, {"data": []}, "a.json")) == [({"data": []}, 1)]
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, SQUAD, "b.json")
    assert len(read(str(folder))) == 3


def test_a_file_of_another_name_is_read_as_questions_if_the_spec_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, SQUAD, "questions")
    assert [value for value, _ in read(path, SquadConfig)] == EXPECTED
    assert [value for value, _ in read(path, JsonConfig)] == EXPECTED


def test_the_first_form_of_cmrc_has_the_same_fields(tmp_path: Path) -> None:
    asked = [{"query_text": "何时?", "query_id": "q1", "answers": ["二〇一八年", "一八年"]}]
    path = write(tmp_path, [{"context_id": "c", "context_text": "二〇一八年", "qas": asked, "title": "t"}])
    fields = {"question": "何时?", "id": "q1", "answers": ["二〇一八年", "一八年"], "context": "二〇一八年"}
    assert read(path) == [(fields, 1)]


def test_a_record_has_the_line_of_its_question(tmp_path: Path) -> None:
    path = write(tmp_path, '{"data": [\n{"paragraphs": [{"qas": [\n{"id": 1},\n\n {"id":\n2}], "context": "x"}]}]}')
    assert [line for _, line in read(path)] == [3, 5]


def test_questions_are_read_whatever_the_block_size(tmp_path: Path) -> None:
    path = write(tmp_path, SQUAD, indent=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "BLOCK", 1)
        assert [value for value, _ in read(path)] == EXPECTED


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (
            '{"data": [{"paragraphs": [\n7, {"context": "x", "qas": [{"id": 1}]}]}]}',
            2,
            "expected a JSON object, found a",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [\n7, {"id": 1}]}]}]}',
            2,
            "expected a JSON object, found a",
        ),
        ('{"data": [{"paragraphs": [{"context": "x", "qas": [\n{"a" 1}, {"id": 1}]}]}]}', 2, "not valid JSON: "),
        (
            '{"data": [{"paragraphs": [\n{"contxt": "x", "qas": []}, {"context": "x", "qas": [{"id": 1}]}]}]}',
            2,
            "expected 'context' and 'qas'; the keys are contxt, qas",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": 1}]}]},\n{"title": ""}]}',
            2,
            "expected 'paragraphs', or 'context' and 'qas'; the keys are title (empty)",
        ),
    ],
)
def test_a_bad_part_takes_no_others(tmp_path: Path, content: str, place: int, message: str) -> None:
    path, bad = write(tmp_path, content), BadRecords("skip")
    assert [value for value, _ in read(path, bad=bad)] == [{"id": 1, "context": "x"}]
    (said,) = bad.messages
    assert said.startswith(f"{path}:{place}: {message}")
    with pytest.raises(DataError, match=r"expected|not valid"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"data": [{"paragraphs": [{"qas": [1\n2]}]}]}', ":2: expected ',' or ']' after an element of the list"),
        ('{"data": [{"paragraphs": [\n{"qas": [] "context": 2}]}]}', ":2: expected ',' or '}' after a member of the"),
        ('{"data": [{"paragraphs": [{"qas": [],\n7: 2}]}]}', ":2: expected a key in quotes and ':'"),
        ('{"data": [{"paragraphs": [{"context": "x",\n"qas": 3}]}]}', ":2: expected a list in 'qas'"),
        ('{"data": [{"paragraphs": []}]}\n{}', ":2: expected nothing after the object"),
        ('[{"context": "", "qas": []}]\n7', ":2: expected nothing after the list"),
        ('{"data": [{"paragraphs": [{"qas": [{"id": 1}', ":1: expected ',' or ']' after an element of the list"),
    ],
)
def test_broken_json_ends_the_reading_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read(path, SquadConfig, BadRecords("skip"))
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("content", ["{}", '{"data": 7}', '{"questions": []}', '"text"', ""])
def test_another_form_is_told_with_what_is_expected(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match="expected questions in the form of SQuAD: an object with 'data'"):
        read(path, SquadConfig)


def test_columns_rename_the_fields_of_questions(tmp_path: Path) -> None:
    path = write(tmp_path, {"data": [{"paragraphs": [{"context": "x", "qas": [{"query": "who?"}]}]}]})
    assert [each.value for each in read_records([path], {"question": "query"})] == [
        {"question": "who?", "context": "x"}
    ]


def test_long_files_are_read_paragraph_by_paragraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the text that is kept at a time is enough for a paragraph, though not for an article."""
    monkeypatch.setattr(json_text, "BLOCK", 1000)
    monkeypatch.setattr(json_text, "LONGEST", 20_000)
    paragraphs = [{"context": "x" * 5000, "qas": [OTHER]} for _ in range(50)]
    assert len(read(write(tmp_path, {"data": [{"paragraphs": paragraphs}]}))) == 50
