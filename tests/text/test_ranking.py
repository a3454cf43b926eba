"""The processor ranking: pairs of a question and a candidate, grouped by question."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import draw, processor, records, refuse, rows_of
from tp_core.errors import DataError
from tp_core.interfaces import Joined, Processor
from tp_core.options.context import BuildContext
from tp_text.processors.ranking import group_of, score_of
from tp_text.processors.ranking_options import RankingProcessorConfig

PAIRS = [
    {"qid": qid, "text_a": f"w{number}", "text_b": "w7 w8", "label": label}
    for number, (qid, label) in enumerate([("a", 0), ("b", 1), ("a", 1), (" b", 0), ("c", 0)])
]


def metrics(made: Processor, scores: list[float], pairs: Any = PAIRS, folder: Path | None = None) -> dict[str, float]:
    assert folder is not None
    rows = rows_of(folder, made, records(pairs))
    samples = [[made.carried(draw(made, rows, number))] for number in range(len(rows))]
    found = made.score([{"label": 0, "probabilities": [1 - score, score]} for score in scores], samples)
    facts = RankingProcessorConfig(metrics=list(made.measured[:-2])).measures(BuildContext())  # type: ignore[attr-defined]
    assert list(found) == list(facts)
    assert all(isinstance(each, Joined) for each in found.values())
    return {name: facts[name].compute(*found[name].columns) for name in found}


def test_pairs_are_grouped_by_question_wherever_they_are(tmp_path: Path) -> None:
    made = processor(tmp_path, "ranking", metrics=["mrr", "precision_at_1", "recall_at_1"])
    found = metrics(made, [0.9, 0.4, 0.2, 0.3, 0.5], folder=tmp_path)
    assert found == {
        "mrr": pytest.approx((1 / 2 + 1) / 2),
        "precision_at_1": 0.5,
        "recall_at_1": 0.5,
        "questions": 2,
        "questions_without_answer": 1,
    }


def test_the_group_of_a_cell_is_the_same_number_everywhere() -> None:
    numbers = [group_of(record) for record in records([{"qid": value} for value in (12, "12", " 12 ", "13")])]
    assert numbers == [345002559589525542] * 3 + [numbers[3]]
    assert numbers[3] != numbers[0]


def test_samples_are_those_of_cls(tmp_path: Path) -> None:
    ranking, cls = processor(tmp_path, "ranking"), processor(tmp_path, "cls")
    own, others = (rows_of(tmp_path, made, records(PAIRS)) for made in (ranking, cls))
    for number in range(len(PAIRS)):
        sample = draw(ranking, own, number)
        assert isinstance(sample.pop("group"), int)
        expected = draw(cls, others, number)
        assert sample.keys() == expected.keys()
        assert all(np.array_equal(sample[name], expected[name]) for name in sample)
    assert len(ranking.encode(records([{"text_a": "w1", "text_b": "w2"}]))) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"qid": None}, r"no field 'qid'.*data.columns: {qid: text_a, text_a: text_a}"),
        ({"qid": "  "}, "'qid' is empty"),
        ({"qid": ["a"]}, "expected a text in 'qid', got a list"),
        ({"text_b": None}, "no field 'text_b'"),
        ({"text_b": " "}, "'text_b' is empty"),
        ({"text_a": ""}, "the text is empty"),
        ({"label": 2.5}, "the label '2.5' is no integer"),
        ({"label": None}, "no field 'label'"),
    ],
)
def test_a_pair_that_cannot_be_used_is_named(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    made = processor(tmp_path, "ranking")
    with pytest.raises(DataError, match=message):
        list(made.prepare(records([{**PAIRS[0], **wrong}]), refuse))


def test_a_new_pair_needs_both_texts_but_no_question(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no field 'text_b'"):
        processor(tmp_path, "ranking").encode(records([{"text_a": "w1"}]))


def test_probabilities_that_are_nearly_one_keep_their_order() -> None:
    surer, sure = ([1.0 / (1 + math.exp(x)), 1.0 / (1 + math.exp(-x))] for x in (30.0, 25.0))
    one, other = (np.float32(each).tolist() for each in (surer, sure))
    assert one[1] == other[1] == 1.0
    assert score_of({"probabilities": one}) > score_of({"probabilities": other}) > 1
    assert score_of({"probabilities": [0.0, 1.0]}) == math.inf
    assert math.isnan(score_of({"probabilities": [math.nan, math.nan]}))
    assert score_of({"cls": {"label": 1, "probabilities": {"no": 0.25, "yes": 0.75}}, "other": 3}) == pytest.approx(3)


def test_several_classes_are_grades_of_relevance(tmp_path: Path) -> None:
    made = processor(tmp_path, "ranking", metrics=["ndcg"])
    rows = rows_of(tmp_path, made, records([{**PAIRS[0], "label": label} for label in (0, 2, 1)]))
    samples = [[made.carried(draw(made, rows, number))] for number in range(3)]
    given = [{"probabilities": each} for each in ([0.1, 0.0, 0.9], [0.2, 0.5, 0.3], [0.1, 0.5, 0.4])]
    facts = RankingProcessorConfig(metrics=["ndcg"]).measures(BuildContext())
    found = made.score(given, samples)["ndcg"]
    gains = [0, 1, 2]  # expected relevance 1.8, 1.1, 1.3
    expected = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains)) / (2 + 1 / math.log2(3))
    assert isinstance(found, Joined)
    assert facts["ndcg"].compute(*found.columns) == pytest.approx(expected)


def test_metrics_that_do_not_exist_are_problems() -> None:
    config = RankingProcessorConfig(metrics=["mrr", "ndgc", "hits", "mrr"])
    assert [(each.option, each.message) for each in config.check(BuildContext())] == [
        ("metrics", "mrr is listed twice"),
        ("metrics", "unknown metric 'ndgc'; did you mean 'ndcg'?"),
        (
            "metrics",
            "unknown metric 'hits'; the metrics are mrr, map, ndcg, mrr_at_K, precision_at_K, recall_at_K, ndcg_at_K, "
            "with a number for K",
        ),
    ]
