"""The processor cloze: blanks of a text, each with its own sequences, and choices that blanks may not share."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tests.text.corpora import CLS, MASK, SEP, UNK, numbers, processor, rows_of
from tests.text.corpora import draw as drawn
from tests.text.test_choice_processor import parts
from tp_core.errors import DataError
from tp_core.interfaces import Record, TokenizerFacts
from tp_core.options.context import BuildContext
from tp_text.processors.assignment import best_assignment
from tp_text.processors.cloze import ClozeProcessor, assigned, items_of
from tp_text.processors.cloze_options import ClozeProcessorConfig

CHOICES = ["w1", "w2", "w3"]


def cloze(context: Any = ("w7 #idiom1# w8 #idiom2#", "#idiom3# w9"), choices: Any = CHOICES, **fields: Any) -> Record:
    texts = context if isinstance(context, str) else list(context)
    return Record({"context": texts, "choices": choices, **fields}, "c.jsonl", 4)


def made_of(folder: Path, **options: Any) -> ClozeProcessor:
    made = processor(folder, "cloze", **options)
    assert isinstance(made, ClozeProcessor)
    return made


# -- samples ---------------------------------------------------------------------------------------------------------


def test_each_blank_is_a_sample_with_its_own_mark(tmp_path: Path) -> None:
    ((one, two, three),) = made_of(tmp_path).divide([cloze()])
    w7, w8, w9 = numbers("w7 w8 w9")
    for sample, text in ((one, [w7, MASK, w8, UNK]), (two, [w7, UNK, w8, MASK]), (three, [MASK, w9])):
        assert parts(sample) == [[CLS, *text, SEP, number, SEP] for number in numbers("w1 w2 w3")]
    assert [sample["name"] for sample in (one, two, three)] == ["#idiom1#", "#idiom2#", "#idiom3#"]


def test_marks_and_blanks_are_options(tmp_path: Path) -> None:
    options = {"blank_pattern": "__+", "mark": "w20", "other_mark": "w21", "layout": "choice_context"}
    ((one, two),) = made_of(tmp_path, **options).divide([cloze("w7 ____ w8__")])
    assert parts(one)[0] == [CLS, *numbers("w1"), SEP, *numbers("w7 w20 w8 w21"), SEP]
    assert parts(two)[2] == [CLS, *numbers("w3"), SEP, *numbers("w7 w21 w8 w20"), SEP]


def test_a_long_text_is_cut_around_the_blank(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(60)]
    for place in (0, 1, 5, 30, 58, 60):
        text = " ".join([*words[:place], "#idiom7#", *words[place:]])
        record = cloze(text, ["w1", "w2 w3 w4"], label=[1])
        made = made_of(tmp_path, max_length=13)
        ((sample,),) = made.divide([record])
        assert sample["lengths"].tolist() == [13, 13]
        short, long = parts(sample)
        for sequence, room in ((short, 9), (long, 7)):
            kept = sequence[1 : 1 + room]
            assert kept.count(MASK) == 1
            before = kept.index(MASK)
            assert [number for number in kept if number != MASK] == numbers(
                " ".join(words[place - before :][: room - 1])
            )
            assert before == max(0, min(room // 2, place)) if place < 50 else before > room // 2
        row = drawn(made, rows_of(tmp_path, made, [record]), 0)
        assert all(
            np.array_equal(row[name], sample[name]) for name in ("input_ids", "token_type_ids", "lengths", "items")
        )


def test_rows_of_a_record_follow_each_other(tmp_path: Path) -> None:
    made = made_of(tmp_path)
    given = [cloze(label=[0, 1, 2]), cloze("#idiom1#", label=[2]), cloze(label=["A", "w3", 1])]
    rows = rows_of(tmp_path, made, given)
    assert made.record_starts(rows).tolist() == [0, 3, 4]
    assert [drawn(made, rows, number)["label"] for number in range(7)] == [0, 1, 2, 2, 0, 2, 1]


def test_blanks_may_have_choices_and_labels_of_their_own(tmp_path: Path) -> None:
    own = [["w1", "w2"], ["w3", "w4", "w5"], ["w6", "w7"]]
    ((one, two, three),) = made_of(tmp_path).divide([cloze(choices=own)])
    assert [len(sample["lengths"]) for sample in (one, two, three)] == [2, 3, 2]
    for labels in (["w2", "w5", "w6"], {"#idiom2#": "w5", "#idiom3#": 0, "#idiom1#": "B", "#idiom9#": 7}):
        (chunk,) = made_of(tmp_path).prepare([cloze(choices=own, label=labels)], _refuse)
        assert chunk["label"] == [1, 2, 0]


def _refuse(error: DataError) -> None:
    raise error


@pytest.mark.parametrize(
    ("record", "options", "message"),
    [
        (cloze("w1 w2"), {}, r"'context' has no blank \(blank_pattern #idiom"),
        (Record({"choices": CHOICES}, "c", 1), {}, "no field 'context'"),
        (cloze(choices=[["w1", "w2"]]), {}, "'choices' has 1 lists, but 'context' has 3 blanks"),
        (cloze(choices=[["w1", "w2"], ["w1"], ["w2", "w3"]]), {}, "only one choice, 'w1'"),
        (cloze(choices=["w1"]), {}, "only one choice, 'w1'"),
        (cloze(label=[0, 1]), {}, "'label' has 2 labels, but 'context' has 3 blanks"),
        (cloze(label=[0, 1, 3]), {}, "the label '3' names none of the 3 choices"),
        (cloze(label={"#idiom1#": 0, "#idiom2#": 1}), {}, "'label' has no label for the blank #idiom3#"),
        (cloze("#idiom# #idiom#", label={"#idiom#": 0}), {}, "several blanks are the same; expected a list"),
        (cloze(), {}, "no field 'label'"),
        (cloze(choices=["w1", "w2"], label=[0, 1, 0]), {"one_to_one": True}, "3 blanks have only 2 different choices"),
        (
            cloze("#idiom1##idiom2##idiom3##idiom4#", [["w1", "w2"]] * 3 + [["w3", "w4", "w5"]], label=[0] * 4),
            {"one_to_one": True},
            "one_to_one needs a different choice for each blank, but some blanks have too few",
        ),
        (cloze("#idiom1#", ["w1", "w2 w3 w4 w5"], label=[0]), {"max_length": 7}, "leaves room for 3; only contexts"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(
    tmp_path: Path, record: Record, options: dict[str, Any], message: str
) -> None:
    errors: list[DataError] = []
    assert list(made_of(tmp_path, **options).prepare([record], errors.append)) == [{}]
    with pytest.raises(DataError, match=message):
        raise errors[0]


def test_different_choices_for_all_blanks_need_not_be_in_all_lists(tmp_path: Path) -> None:
    own = [["w1", "w2"], ["w1", "w2"], ["w2", "w1", "w3"]]
    (chunk,) = made_of(tmp_path, one_to_one=True).prepare([cloze(choices=own, label=[0, 1, 2])], _refuse)
    assert chunk["label"] == [0, 1, 2]


# -- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5), (6, 6), (7, 12), (30, 40)])
def test_the_assignment_is_that_of_scipy(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    for spread in (1.0, 50.0):
        for scores in (rng.normal(0, spread, shape), rng.integers(0, 4, shape).astype(float)):
            found = best_assignment(scores)
            assert len({*found}) == shape[0]
            rows, columns = linear_sum_assignment(scores, maximize=True)
            assert scores[np.arange(shape[0]), found].sum() == pytest.approx(scores[rows, columns].sum(), abs=1e-9)


def test_blanks_that_share_choices_get_different_ones_that_are_most_probable_together() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        own = [list(rng.permutation(6)[: rng.integers(3, 7)]) for _ in range(3)]
        probabilities = [rng.dirichlet(np.ones(len(each))).tolist() for each in own]
        found = assigned([items_of([f"w{n}" for n in each]) for each in own], probabilities)
        best = max(
            (
                ways
                for ways in itertools.product(*(range(len(each)) for each in own))
                if len({own[blank][way] for blank, way in enumerate(ways)}) == 3
            ),
            key=lambda ways: sum(np.log(probabilities[blank][way]) for blank, way in enumerate(ways)),
        )
        assert found == list(best)


def test_probabilities_that_are_no_numbers_get_different_choices_too() -> None:
    items = [items_of(CHOICES)] * 3
    assert sorted(assigned(items, [[float("nan")] * 3] * 3)) == [0, 1, 2]
    assert assigned(items, [[0.1, 0.2, 0.7], [float("nan")] * 3, [0.0, 1.0, 0.0]]) == [2, 0, 1]


def prediction(*probabilities: float) -> dict[str, Any]:
    return {"label": int(np.argmax(probabilities)), "probabilities": list(probabilities)}


@pytest.mark.parametrize(("one_to_one", "labels"), [(False, [0, 0, 2]), (True, [0, 1, 2])])
def test_a_prediction_has_a_label_for_each_blank(tmp_path: Path, one_to_one: bool, labels: list[int]) -> None:
    made = made_of(tmp_path, one_to_one=one_to_one)
    (samples,) = made.divide([cloze()])
    given = [prediction(0.8, 0.1, 0.1), prediction(0.5, 0.4, 0.1), prediction(0.0, 0.0, 1.0)]
    found = made.combine(samples, given)
    assert found == {
        "blanks": [
            {"blank": f"#idiom{n}#", "label": label, "probabilities": own["probabilities"]}
            for n, (label, own) in enumerate(zip(labels, given), 1)
        ]
    }


def test_the_metric_counts_blanks_after_the_assignment(tmp_path: Path) -> None:
    made = made_of(tmp_path, one_to_one=True)
    rows = rows_of(tmp_path, made, [cloze(label=[0, 1, 2]), cloze("#idiom1#", label=[1])])
    samples = [made.carried(drawn(made, rows, number)) for number in range(4)]
    own = [samples[:3], samples[3:]]
    given = [[prediction(0.8, 0.1, 0.1), prediction(0.5, 0.4, 0.1), prediction(0.4, 0.3, 0.3)], [prediction(1, 0, 0)]]
    combined = [made.combine(*each) for each in zip(own, given)]
    assert made.score(combined, own) == {"assigned_accuracy": (3, 4)}
    assert not made_of(tmp_path).has_metrics
    assert not ClozeProcessorConfig().measures(BuildContext())


def test_the_choices_of_several_targets_are_assigned_one_by_one(tmp_path: Path) -> None:
    made = made_of(tmp_path, one_to_one=True)
    rows = rows_of(tmp_path, made, [cloze("#idiom1# #idiom2#", label=[1, 0])])
    samples = [made.carried(drawn(made, rows, number)) for number in range(2)]
    one, other = (
        [prediction(0.8, 0.1, 0.1), prediction(0.7, 0.2, 0.1)],
        [prediction(0.4, 0.6, 0), prediction(0, 0.9, 0.1)],
    )
    combined = made.combine(samples, [{"one": a, "other": b} for a, b in zip(one, other)])
    labels = [[blank[name]["label"] for blank in combined["blanks"]] for name in ("one", "other")]
    assert labels == [[0, 1], [0, 1]]
    assert made.score([combined], [samples]) == {"assigned_accuracy": (0, 2)}


# -- options ---------------------------------------------------------------------------------------------------------


def test_options_that_do_not_fit_are_named() -> None:
    for pattern, message in (("(", "is no regular expression"), ("_*", "matches the empty text")):
        (problem,) = ClozeProcessorConfig(blank_pattern=pattern).check(BuildContext())
        assert (problem.option, problem.message[: len(message)]) == ("blank_pattern", message)
    special = {"cls": 0, "sep": 1, "pad": 2}
    facts = TokenizerFacts(4, special, False, tokens=lambda: {"[unused1]": 3, **special})
    lacks = [(each.option, each.message) for each in ClozeProcessorConfig(mark="[unusd1]").check_tokenizer(facts)]
    assert lacks[0] == ("mark", "the vocabulary has no token '[unusd1]'; did you mean '[unused1]'?")
    assert lacks[1][0] == "other_mark"
    assert not list(ClozeProcessorConfig(mark="[unused1]", other_mark="[unused1]").check_tokenizer(facts))
