"""The processor choice: sequences, cutting, labels in all their forms, and questions that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text.corpora import CLS, FIRST, SEP, numbers, processor, records, rows_of, tokenizer
from tests.text.corpora import draw as drawn
from tp_core.data.classes.names import NamedClass
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Record, Sample
from tp_core.options.context import BuildContext
from tp_text.processors.choice import window
from tp_text.processors.choice_options import ChoiceProcessorConfig


def question(choices: Any = ("w1", "w2 w3", "w4"), **fields: Any) -> Record:
    return Record({"choices": choices if isinstance(choices, str) else list(choices), **fields}, "q.jsonl", 4)


def parts(sample: Sample) -> list[list[int]]:
    """The ids of each sequence."""
    return [own.tolist() for own in np.split(sample["input_ids"], np.cumsum(sample["lengths"])[:-1])]


def types(sample: Sample) -> list[list[int]]:
    return [own.tolist() for own in np.split(sample["token_type_ids"], np.cumsum(sample["lengths"])[:-1])]


def encoded(folder: Path, record: Record, **options: Any) -> Sample:
    (sample,) = processor(folder, "choice", **options).encode([record])
    return sample


# -- sequences -------------------------------------------------------------------------------------------------------


def test_a_choice_with_its_question_follows_the_context(tmp_path: Path) -> None:
    sample = encoded(tmp_path, question(context="w7 w8", question="w9"))
    context = [CLS, *numbers("w7 w8"), SEP]
    assert parts(sample) == [[*context, *numbers(f"w9 {own}"), SEP] for own in ("w1", "w2 w3", "w4")]
    assert types(sample) == [[0] * 4 + [1] * count for count in (3, 4, 3)]


def test_the_choice_may_be_first(tmp_path: Path) -> None:
    sample = encoded(tmp_path, question(context=["w7", "w8"], question="w9"), layout="choice_context")
    assert parts(sample)[1] == [CLS, *numbers("w9 w2 w3"), SEP, *numbers("w7 w8"), SEP]
    assert types(sample)[1] == [0] * 5 + [1] * 3


@pytest.mark.parametrize("fields", [{}, {"context": None}, {"context": "  "}, {"question": ""}])
def test_without_context_and_question_there_is_the_choice_alone(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert parts(encoded(tmp_path, question(**fields)))[1] == [CLS, *numbers("w2 w3"), SEP]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "w5 _ w6 w1"),
        ({"template": "{choice} {question}"}, "w1 w5 _ w6"),
        ({"template": "w8 {choice}w9{question}"}, "w8 w1w9w5 _ w6"),
        ({"blank": "_"}, "w5 w1 w6"),
        ({"blank": "?"}, "w5 _ w6 w1"),
    ],
)
def test_the_text_of_a_choice_is_that_of_the_template(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    made: Any = processor(tmp_path, "choice", **options)
    assert made.text("w5 _ w6", "w1") == expected
    assert made.text("{choice}", "{question}").count("{") == 2


def test_only_the_context_is_cut(tmp_path: Path) -> None:
    long = " ".join(f"w{n}" for n in range(50))
    record = question(["w1", "w2 w3 w4 w5"], context=long, question="w9", label=0)
    made = processor(tmp_path, "choice", max_length=12)
    (sample,) = made.encode([record])
    assert sample["lengths"].tolist() == [12, 12]
    assert parts(sample)[0] == [CLS, *range(FIRST, FIRST + 7), SEP, *numbers("w9 w1"), SEP]
    assert parts(sample)[1] == [CLS, *range(FIRST, FIRST + 4), SEP, *numbers("w9 w2 w3 w4 w5"), SEP]
    row = drawn(made, rows_of(tmp_path, made, [record]), 0)
    assert row.pop("label") == 0
    assert {name: value.tolist() for name, value in row.items()} == {n: v.tolist() for n, v in sample.items()}


def test_a_choice_that_fills_the_sequence_leaves_no_context(tmp_path: Path) -> None:
    sample = encoded(tmp_path, question(["w1", " ".join(["w2"] * 9)], context="w3 w4"), max_length=12)
    assert parts(sample)[0] == [CLS, *numbers("w3 w4"), SEP, *numbers("w1"), SEP]
    assert parts(sample)[1] == [CLS, SEP, *numbers(" ".join(["w2"] * 9)), SEP]


def test_a_choice_that_is_too_long_makes_a_bad_record(tmp_path: Path) -> None:
    long = question(["w1", " ".join(["w2"] * 10)], context="w3", question="w4", label=0)
    message = "q.jsonl:4: choice 1 has 11 tokens with its question, but max_length 12 leaves room for 9; only contexts"
    made, errors = processor(tmp_path, "choice", max_length=12), list[DataError]()
    with pytest.raises(DataError, match=message):
        made.encode([long])
    chunks = list(made.prepare([long, question(label=1), long], errors.append))
    assert [len(chunk["label"]) for chunk in chunks] == [1]
    assert [str(error).startswith(message[:30]) for error in errors] == [True, True]


def test_chunks_without_a_good_question_do_not_end_the_data(tmp_path: Path) -> None:
    good, bad = question(label=1), question(["w1", " ".join(["w2"] * 20)], label=0)
    made, errors = processor(tmp_path, "choice", max_length=12), list[DataError]()
    from tp_core.data.cache.rows import write_rows

    assert write_rows(tmp_path / "rows.arrow", made.prepare([bad] * 600 + [good] * 700, errors.append)) == 700
    assert len(errors) == 600


def test_windows_inside_windows_are_the_same_as_without() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        length, room = int(rng.integers(1, 40)), int(rng.integers(1, 45))
        place, less = int(rng.integers(length)), int(rng.integers(1, room + 1))
        begin, end = window(length, place, room)
        inner = window(end - begin, place - begin, less)
        assert (begin + inner[0], begin + inner[1]) == window(length, place, less)
        assert begin <= place < end
        assert end - begin == min(length, room)


def test_a_batch_has_the_sequences_of_all_questions(tmp_path: Path) -> None:
    made = processor(tmp_path, "choice")
    given = [question(label=2), question(["w1", "w2"], label=0), question(["w1", "w2", "w3", "w4"], label=3)]
    rows = rows_of(tmp_path, made, given)
    batch = made.collate([made.evaluation_sample(rows, n, generator(0, EVALUATION, 0, n)) for n in range(3)])
    assert (batch.size, tuple(batch.inputs["input_ids"].shape)) == (3, (9, 8))
    assert batch.sequences is not None
    assert batch.sequences.tolist() == [[0, 1, 2, -1], [3, 4, -1, -1], [5, 6, 7, 8]]
    assert batch.labels["choice"]["labels"].tolist() == [2, 0, 3]
    assert batch.inputs["attention_mask"].sum(1).tolist() == [3, 4, 3, 3, 3, 3, 3, 3, 3]
    new = made.collate(made.encode(given))
    assert new.labels["choice"]["labels"].tolist() == [IGNORE] * 3
    assert all(torch.equal(new.inputs[name], batch.inputs[name]) for name in batch.inputs)


# -- choices ---------------------------------------------------------------------------------------------------------


def test_choices_may_be_fields_of_their_own(tmp_path: Path) -> None:
    made = processor(tmp_path, "choice", choice_fields=["a", "b", "c"])
    full, short = {"a": "w1", "b": "w2", "c": "w3"}, {"a": "w1", "b": "w2", "c": None}
    assert [len(sample["lengths"]) for sample in made.encode(records([full, short]))] == [3, 2]
    for wrong, message in (
        ({"a": "w1", "b": "", "c": "w3"}, "the choice 'b' is empty, but a later one is not"),
        ({"a": "w1", "c": "w3"}, "no field 'b', which choice_fields names; the fields are a, c"),
        ({"a": "w1", "b": "", "c": ""}, "the question has only one choice, 'w1'; expected at least two"),
    ):
        with pytest.raises(DataError, match=message):
            made.encode(records([wrong]))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (question([]), "the question has no choices; expected at least two"),
        (question(["w1"]), "the question has only one choice, 'w1'"),
        (question(["w1", " "]), r"'choices\[1\]' is empty"),
        (question(["w1", None]), r"'choices\[1\]' is empty"),
        (question(["w1", {"a": 1}]), r"expected a text in 'choices\[1\]', got a mapping"),
        (question("w1, w2"), "expected a list of texts in 'choices', got a text"),
        (question(["w1", "\ud800"]), "half of a surrogate pair"),
        (
            Record({"text": "w1"}, "q.txt", 1),
            "no field 'choices'; the fields are text .*choice_fields of the processor",
        ),
        (question(context=["w1", ""]), r"'context\[1\]' is empty"),
        (question(context={"a": "w1"}), "expected a text in 'context', got a mapping"),
    ],
)
def test_a_question_that_cannot_be_used_is_named(tmp_path: Path, record: Record, message: str) -> None:
    made = processor(tmp_path, "choice")
    with pytest.raises(DataError, match=message):
        made.encode([record])
    errors: list[DataError] = []
    assert list(made.prepare([record], errors.append)) == [{}]
    assert len(errors) == 1


# -- labels ----------------------------------------------------------------------------------------------------------


def label(folder: Path, value: Any, choices: Any = ("red", "green", "blue"), **options: Any) -> int:
    made = processor(folder, "choice", **options)
    errors: list[DataError] = []
    (chunk,) = made.prepare([question(choices, label=value)], errors.append)
    if errors:
        raise errors[0]
    (found,) = chunk["label"]
    return int(found)


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (1, {}, 1),
        ("1", {}, 1),
        ("1.0", {}, 1),
        (1.0, {}, 1),
        (NamedClass(2, "two"), {}, 2),
        ("C", {}, 2),
        ("c", {}, 2),
        (" green ", {}, 1),
        ("blue", {"label_form": "text"}, 2),
        (3, {"first_index": 1}, 2),
        ("1", {"first_index": 1, "label_form": "index"}, 0),
        ("B", {"label_form": "letter"}, 1),
    ],
)
def test_a_label_is_a_number_a_letter_or_a_text(
    tmp_path: Path, value: Any, options: dict[str, Any], expected: int
) -> None:
    assert label(tmp_path, value, **options) == expected


def test_texts_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    assert label(tmp_path, "cafe\u0301", ["tea", "caf\u00e9"]) == 1


@pytest.mark.parametrize(
    ("value", "choices", "options", "message"),
    [
        (3, "abc", {}, "the label '3' names none of the 3 choices; expected a number from 0 to 2"),
        (-1, "abc", {}, "the label '-1' names none of the 3 choices"),
        (0, "abc", {"first_index": 1}, "expected a number from 1 to 3"),
        (0.5, "abc", {}, "the label '0.5' names none"),
        (True, "abc", {}, "the label 'True' names none"),
        ("E", "abc", {"label_form": "letter"}, "expected a letter from A to C"),
        ("gren", ["red", "green"], {}, "the label 'gren' names none of the 2 choices; did you mean 'green'"),
        ("x" * 99, ["red", "green"], {}, r"expected a number from 0 to 1 or a letter from A to B or the text of"),
        ("green", ["red", "green"], {"label_form": "index"}, "names none of the 2 choices; expected a number"),
        ("1", ["1", "2"], {}, "the label '1' is ambiguous: as a number it is choice 1, as a text it is choice 0; set"),
        ("B", ["B", "A"], {}, "as a letter it is choice 1, as a text it is choice 0; set label_form"),
        ("red", ["red", "blue", "red"], {}, "the choices 0 and 2 are the same, 'red', and one is the answer"),
        (2, ["red", "blue", "red "], {}, "the choices 0 and 2 are the same"),
        (None, "abc", {}, "no field 'label'"),
    ],
)
def test_a_label_that_names_no_choice_is_an_error(
    tmp_path: Path, value: Any, choices: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        label(tmp_path, value, list(choices), **options)
    assert str(caught.value).startswith("q.jsonl:4: ")


def test_equal_choices_are_allowed_if_none_of_them_is_right(tmp_path: Path) -> None:
    assert label(tmp_path, 1, ["red", "blue", "red"]) == 1
    assert encoded(tmp_path, question(["w1", "w1"]))["lengths"].tolist() == [3, 3]


def test_an_ambiguous_label_is_read_as_the_option_says(tmp_path: Path) -> None:
    assert label(tmp_path, "1", ["1", "2"], label_form="text") == 0
    assert label(tmp_path, "1", ["1", "2"], label_form="index") == 1
    assert label(tmp_path, 1, ["1", "2"]) == 1  # a number that is no text is an index


def test_choices_may_have_names_of_their_own(tmp_path: Path) -> None:
    named = {"text": ["red", "green", "blue"], "label": ["1", "2", "3"]}
    made, errors = processor(tmp_path, "choice"), list[DataError]()
    given = [Record({"choices": named, "label": value}, "q", 1) for value in ("1", "3", "4", "green")]
    (chunk,) = made.prepare(given, errors.append)
    assert chunk["label"] == [0, 2, 1]
    assert "the label '4' names none" in str(errors[0])
    uneven = Record({"choices": {"text": ["red", "green"], "label": ["A"]}, "label": 0}, "q", 1)
    with pytest.raises(DataError, match="'choices' has 2 texts and 1 labels"):
        made.encode([uneven])


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "{choice}"}, "must have {question} once"),
        ({"template": "{question} {choice} {choice}"}, "must have {choice} once"),
        ({"choice_fields": ["a", "b", "a"]}, "'a' is listed twice"),
    ],
)
def test_options_that_do_not_fit_are_named(options: dict[str, Any], message: str) -> None:
    assert next(each.message for each in ChoiceProcessorConfig(**options).check(BuildContext())).startswith(message)


def test_the_tokenizers_frame_is_used(tmp_path: Path) -> None:
    """Two separators between the parts, as in RoBERTa."""
    from tp_core.options.context import DataContext

    words = tokenizer(tmp_path)
    words.pair_separators = 2
    made = ChoiceProcessorConfig().build(DataContext(), words)
    (sample,) = made.encode([question(context="w7")])
    assert parts(sample)[0] == [CLS, *numbers("w7"), SEP, SEP, *numbers("w1"), SEP]
