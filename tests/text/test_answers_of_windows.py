"""The spans that are predicted in the windows of a text become one answer, which is compared with the right ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import records
from tests.text.questions import CONTEXT, made
from tp_core.interfaces import Sample
from tp_text.processors.question_answering import QuestionAnsweringProcessor


def windows_of(processor: QuestionAnsweringProcessor, context: str = CONTEXT) -> list[Sample]:
    return processor.divide(records([{"question": "w1", "context": context}]))[0]


def spans(*found: tuple[int, int, float], null: float = 0.0) -> dict[str, Any]:
    return {"spans": [dict(zip(("start", "end", "score"), each)) for each in found], "null_score": null}


def test_the_answer_is_the_best_span_of_all_windows(tmp_path: Path) -> None:
    processor = made(tmp_path, stride=5, question_max_length=3, n_best=3)
    samples = windows_of(processor)
    first = samples[0]["context"][0]
    assert len(samples) == 2
    assert (samples[1]["offsets"][0] == samples[0]["offsets"][-5]).all()
    shared = first + len(samples[0]["offsets"]) - 5
    predictions = [
        spans((first, first + 1, 2.0), (shared, shared, 3.0)),  # w10 w11; w17
        spans((first, first, 4.0), (first + 5, first + 6, 1.0)),  # the same w17; w22 w23
    ]
    found = processor.combine(samples, predictions)
    assert [(each["answer"], each["score"]) for each in found["n_best"]] == [
        ("w17", 4.0),
        ("w10 w11", 2.0),
        ("w22 w23", 1.0),
    ]
    assert CONTEXT[found["start"] : found["end"]] == found["answer"] == "w17"
    weights = np.exp([4.0, 2.0, 1.0])
    assert [each["probability"] for each in found["n_best"]] == pytest.approx(weights / weights.sum())
    assert found["probability"] == found["n_best"][0]["probability"]
    assert "no_answer_score" not in found


def test_n_best_is_as_long_as_the_option_says(tmp_path: Path) -> None:
    processor = made(tmp_path, n_best=2, max_length=60)
    (sample,) = windows_of(processor)
    first = sample["context"][0]
    prediction = spans(*((first + n, first + n, float(-n)) for n in range(5)))
    assert [each["answer"] for each in processor.combine([sample], [prediction])["n_best"]] == ["w10", "w11"]


@pytest.mark.parametrize(
    ("threshold", "answered"), [(0.0, False), (0.9, False), (1.0, True), (2.0, True), (-5.0, False)]
)
def test_no_answer_is_given_above_the_threshold(tmp_path: Path, threshold: float, answered: bool) -> None:
    processor = made(tmp_path, unanswerable=True, no_answer_threshold=threshold)
    samples = windows_of(processor)
    first = samples[0]["context"][0]
    nulls = [6.0, 4.0, 5.0, 7.0]  # the least of all windows counts: one window has the answer, the others have not
    predictions = [spans((first, first, 3.0 - n), null=null) for n, null in enumerate(nulls)][: len(samples)]
    found = processor.combine(samples, predictions)
    assert found["no_answer_score"] == 1.0
    assert found["n_best"][0]["answer"] == "w10"
    if answered:
        assert (found["answer"], found["start"], found["end"], found["score"]) == ("w10", 0, 3, 3.0)
    else:
        assert (found["answer"], found["start"], found["end"], found["score"]) == ("", None, None, 4.0)
    total = sum(np.exp([*(3.0 - n for n in range(len(samples))), 4.0]))
    assert found["probability"] == pytest.approx(np.exp(found["score"]) / total)


def test_a_question_without_any_span_has_an_empty_answer(tmp_path: Path) -> None:
    processor = made(tmp_path, max_length=60)
    found = processor.combine(windows_of(processor), [spans()])
    assert found == {"answer": "", "score": None, "probability": None, "start": None, "end": None, "n_best": []}
    found = made(tmp_path, max_length=60, unanswerable=True).combine(windows_of(processor), [spans(null=2.0)])
    assert (found["answer"], found["score"], found["no_answer_score"]) == ("", 2.0, np.inf)


def test_metrics_compare_the_answers_of_records(tmp_path: Path) -> None:
    processor = made(tmp_path, unanswerable=True)
    wanted = [["w10 w11"], ["w12"], [], []]
    answers = ["w10", "w12", "", "w13"]
    predictions = [
        {"answer": text, "no_answer_score": score, "n_best": [{"answer": text or "w9"}]}
        for text, score in zip(answers, [-2.0, -1.0, 3.0, -0.5])
    ]
    found = processor.score(predictions, [[{"answers": each}, {}] for each in wanted])
    f1 = [2 / 3, 1, 1, 0]
    assert tuple(map(float, found["f1"])) == pytest.approx((sum(f1), 4))  # type: ignore[arg-type]
    assert tuple(map(float, found["exact_match"])) == (2, 4)  # type: ignore[arg-type]
    assert tuple(map(float, found["f1_answerable"])) == pytest.approx((5 / 3, 2))  # type: ignore[arg-type]
    assert tuple(map(float, found["f1_unanswerable"])) == (1, 2)  # type: ignore[arg-type]
    facts = processor.config.measures(None)  # type: ignore[arg-type]
    columns = found["best_f1"].columns  # type: ignore[union-attr]
    assert facts["best_f1"].compute(*columns) == pytest.approx((2 / 3 + 1 + 1 + 1) / 4)
    assert facts["best_threshold"].compute(*columns) == -1.0


def test_chinese_answers_are_scored_by_characters(tmp_path: Path) -> None:
    samples = [[{"answers": ["河内总教区"]}]]
    predictions = [{"answer": "河内教区。", "n_best": []}]
    figures = {s: made(tmp_path, scoring=s).score(predictions, samples)["f1"] for s in ("squad", "cmrc")}
    assert figures["squad"] == (0, 1)
    assert figures["cmrc"] == (pytest.approx(4 / 9), 1)
