"""Questions about texts become windows, which are labelled with the places of the answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.text.corpora import FIRST, TAILS, WORDS, draw, records, rows_of
from tests.text.questions import COMMA, CONTEXT, asked, evaluated, made, text_of
from tests.text.vocabularies import BERT
from tp_core.options.context import BuildContext
from tp_text.processors.question_answering_options import QuestionAnsweringProcessorConfig


@pytest.mark.parametrize("stride", [0, 1, 5, 12])
@pytest.mark.parametrize("words", [1, 5, 14, 15, 16, 40, 97])
def test_windows_are_those_of_transformers(tmp_path: Path, stride: int, words: int) -> None:
    transformers = pytest.importorskip("transformers")
    processor = made(tmp_path, stride=stride, question_max_length=3)
    vocabulary = [*BERT, "[EOS]", *(f"w{i}" for i in range(WORDS)), *TAILS, COMMA]
    theirs = transformers.BertTokenizerFast(vocab={token: n for n, token in enumerate(vocabulary)})
    context = " ".join(f"w{n}ab," if n % 3 else f"w{n}" for n in range(words))
    expected = theirs(
        "w1 w2",
        context,
        truncation="only_second",
        max_length=20,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    (samples,) = processor.divide(records([{"question": " w1 w2 ", "context": context}]))
    assert [sample["input_ids"].tolist() for sample in samples] == expected["input_ids"]
    assert [sample["token_type_ids"].tolist() for sample in samples] == expected["token_type_ids"]
    for sample, offsets in zip(samples, expected["offset_mapping"], strict=True):
        first, end = sample["context"]
        assert sample["offsets"].tolist() == [list(place) for place in offsets[first:end]]
    rows = rows_of(tmp_path, processor, records([asked("w0", context=context)]))
    assert [draw(processor, rows, n)["input_ids"].tolist() for n in range(len(rows))] == expected["input_ids"]
    assert processor.record_starts(rows).tolist() == [0]


@pytest.mark.parametrize("words", [1, 14, 15, 40, 97])
@pytest.mark.parametrize("step", [4, 12, 50])
def test_windows_may_begin_at_a_fixed_distance(tmp_path: Path, step: int, words: int) -> None:
    """BERT's and TencentPretrain's doc_stride: the next window begins that many tokens later, or after a window."""
    processor = made(tmp_path, step=step, question_max_length=3)
    context = " ".join(f"w{n}" for n in range(words))
    (samples,) = processor.divide(records([{"question": "w1 w2", "context": context}]))
    room, start, expected = 20 - 3 - 2, 0, []
    while True:
        length = min(room, words - start)
        expected.append((start, length))
        if start + length == words:
            break
        start += min(length, step)
    found = [
        (sample["input_ids"][sample["context"][0]] - FIRST, sample["context"][1] - sample["context"][0])
        for sample in samples
    ]
    assert found == expected
    problems = QuestionAnsweringProcessorConfig(step=4, stride=2).check(BuildContext())
    assert "and stride exclude each other" in str([*problems])


def test_labels_are_those_of_the_example_of_transformers(tmp_path: Path) -> None:
    """Each window has the answer that lies in it as a whole, else the first position, as in BERT's own code."""
    processor = made(tmp_path, stride=4, question_max_length=3)
    answers = ["w10", "w11ab w12", "w16c", "w17 w18 w19", "w25", "w12, w13", "w24 w25", "w23ba"]
    for answer in answers:
        rows = rows_of(tmp_path, processor, records([asked(answer)]))
        begin = CONTEXT.index(answer)
        found = 0
        for sample in evaluated(processor, rows):
            first, end = sample["context"]
            offsets = sample["offsets"].tolist()
            if offsets[0][0] <= begin and begin + len(answer) <= offsets[-1][1]:
                assert first <= sample["start"] <= sample["end"] < end
                assert text_of(processor, sample, CONTEXT) == answer
                found += 1
            else:
                assert (sample["start"], sample["end"]) == (0, 0)
        assert found


def test_a_window_has_the_first_answer_that_lies_in_it(tmp_path: Path) -> None:
    processor = made(tmp_path, stride=4, question_max_length=3)
    rows = rows_of(tmp_path, processor, records([asked("w24 w25", "w10", "w12")]))
    found = [text_of(processor, s, CONTEXT) for s in evaluated(processor, rows) if s["start"]]
    assert (found[0], found[-1]) == ("w10", "w24 w25")


@pytest.mark.parametrize(
    ("answer", "start", "found"),
    [
        (" w12, ", CONTEXT.index(" w12"), "w12,"),  # white space at the ends does not count
        ("11a", CONTEXT.index("11a"), "w11a"),  # the tokens that the answer has a part of
        ("w24 w25", CONTEXT.index("w24"), "w24 w25"),
    ],
)
def test_an_answer_has_the_tokens_of_its_characters(tmp_path: Path, answer: str, start: int, found: str) -> None:
    processor = made(tmp_path, max_length=60)
    record = asked() | {"answers": [{"text": answer, "answer_start": start}]}
    rows = rows_of(tmp_path, processor, records([record]))
    assert text_of(processor, evaluated(processor, rows)[0], CONTEXT) == found


def test_an_answer_without_a_start_is_where_the_text_is_first(tmp_path: Path) -> None:
    processor = made(tmp_path, max_length=60)
    record = {"question": "w1", "context": "w3 w4 w3 w4", "answers": ["w4", "w3 w4"]}
    rows = rows_of(tmp_path, processor, records([record]))
    (sample,) = evaluated(processor, rows)
    assert (sample["offsets"][sample["start"] - sample["context"][0]].tolist(), sample["answers"]) == (
        [3, 5],
        ["w4", "w3 w4"],
    )


def test_only_the_first_row_of_a_record_has_its_text_and_answers(tmp_path: Path) -> None:
    processor = made(tmp_path)
    rows = rows_of(tmp_path, processor, records([asked("w10", id="a"), asked("w3", context="w3", id="b")]))
    samples = evaluated(processor, rows)
    starts = processor.record_starts(rows).tolist()
    assert len(starts) == 2
    assert [n for n, sample in enumerate(samples) if "text" in sample] == starts
    assert [samples[n]["answers"] for n in starts] == [["w10"], ["w3"]]
    assert samples[0]["text"] == CONTEXT
    assert [len(rows.get("text", n)) > 0 for n in range(len(rows))] == [n in starts for n in range(len(rows))]


def test_long_questions_are_cut_and_told(tmp_path: Path) -> None:
    processor = made(tmp_path, question_max_length=3, stride=2)
    rows = rows_of(tmp_path, processor, records([asked("w10", question="w1 w2 w3 w4 w5"), asked("w10")]))
    assert processor.tokenizer.encode_batch(["w1 w2 w3"])[0] == draw(processor, rows, 0)["input_ids"][1:4].tolist()
    assert processor.remarks() == ["questions cut to 3 tokens (question_max_length): 1"]
    rows_of(tmp_path, processor, records([asked("w10")]))
    assert processor.remarks() == []


def test_answers_that_no_window_has_are_told(tmp_path: Path) -> None:
    processor = made(tmp_path, stride=0, question_max_length=3)
    rows = rows_of(tmp_path, processor, records([asked("w12, w13 w14 w15 w16c w17 w18 w19 w20 w21"), asked("w10")]))
    assert draw(processor, rows, 0)["start"] == 0
    (said,) = processor.remarks()
    assert said.startswith("questions whose answer no window has as a whole: 1; their answers are longer than the 0 ")


def test_the_longest_answer_is_told_if_targets_do_not_predict_it_by_default(tmp_path: Path) -> None:
    context = " ".join(f"w{n}" for n in range(40))
    processor = made(tmp_path, max_length=64)
    rows_of(tmp_path, processor, records([asked(" ".join(context.split()[:30]), context=context)]))
    assert processor.remarks() == []
    rows_of(tmp_path, processor, records([asked(" ".join(context.split()[:31]), context=context)]))
    assert processor.remarks() == [
        "longest answer: 31 tokens; predictions have at most max_answer_length of the target"
    ]


@pytest.mark.parametrize(("length", "stride", "question"), [(384, 96, 64), (512, 128, 64), (128, 32, 32), (20, 5, 5)])
def test_the_default_lengths_follow_the_maximum_length(length: int, stride: int, question: int) -> None:
    config = QuestionAnsweringProcessorConfig(max_length=length)
    assert (config.window_stride(), config.question_limit()) == (stride, question)


@pytest.mark.parametrize("length", [10, 16, 40, 1000])
def test_the_default_lengths_leave_room_for_every_question(tmp_path: Path, length: int) -> None:
    processor = made(tmp_path, max_length=length)
    question = " ".join(f"w{n}" for n in range(100))
    (samples,) = processor.divide(records([{"question": question, "context": CONTEXT}]))
    assert all(len(sample["input_ids"]) <= length for sample in samples)
    assert samples[-1]["offsets"][-1][1] == len(CONTEXT)
