"""Schemes of tags, compared with the library seqeval."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from tp_text.tagging import schemes
from tp_text.tagging.metrics import SPAN_METRICS, span_counts
from tp_text.tagging.schemes import Scheme, Span
from tp_text.tagging.windows import windows

TYPES = ["A", "B", "LONG-NAME"]
THEIRS: dict[Scheme, Any] = {"bio": IOB2, "bioes": IOBES, "bmes": IOBES}


def drawn(scheme: Scheme, count: int, seed: int = 0) -> list[list[str]]:
    """Random sequences of tags, most of which break the scheme."""
    rng, tags = random.Random(seed), schemes.tags_of_types(TYPES, scheme)
    return [[rng.choice(tags) for _ in range(rng.randint(1, 8))] for _ in range(count)]


def as_theirs(tags: list[str]) -> list[str]:
    return [f"I{tag[1:]}" if tag.startswith("M-") else tag for tag in tags]


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bmes"])
def test_spans_are_those_of_conlleval_and_of_the_strict_scheme(scheme: Scheme) -> None:
    for tags in drawn(scheme, 3000):
        theirs = as_theirs(tags)
        expected = [(start, end + 1, kind) for kind, start, end in get_entities(theirs)]
        assert [tuple(span) for span in schemes.spans(tags)] == expected, tags
        strict = [(each.start, each.end, each.tag) for each in Entities([theirs], THEIRS[scheme]).entities[0]]
        assert [tuple(span) for span in schemes.strict_spans(tags, scheme)] == strict, tags


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bmes"])
def test_tags_break_a_scheme_if_their_spans_have_other_tags(scheme: Scheme) -> None:
    broken = 0
    for tags in drawn(scheme, 3000, seed=1):
        place = schemes.break_in(tags, scheme)
        rewritten = schemes.tags_of_spans(schemes.spans(tags), len(tags), scheme)
        assert (place is None) == (rewritten == tags), tags
        broken += place is not None
        # All tags before the place can be continued to a sequence that keeps the scheme.
        if place:
            before = tags[:place]
            kind = schemes.parts(before[-1])[1]
            ends = [[*before, *more] for more in ([], [f"{schemes._PREFIXES[scheme][2]}-{kind}"])]
            assert any(schemes.break_in(each, scheme) is None for each in ends), (tags, place)
    assert broken > 1000


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bmes"])
def test_spans_make_tags_that_mark_them(scheme: Scheme) -> None:
    spans = [Span(0, 1, "A"), Span(1, 4, "B"), Span(5, 7, "A"), Span(7, 9, "A")]
    tags = schemes.tags_of_spans(spans, 10, scheme)
    assert schemes.spans(tags) == schemes.strict_spans(tags, scheme) == spans
    assert set(tags) <= set(schemes.tags_of_types(["A", "B"], scheme))
    assert schemes.scheme_of(tags) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-PER", "I-PER"], "bio"),
        (["O", "B-PER", "I-PER", "E-PER", "S-PER"], "bioes"),
        (["O", "B-PER", "M-PER", "E-PER", "S-PER"], "bmes"),
        (["NOUN", "VERB", "O"], None),
        (["B", "I", "O"], None),
        (["B-X", "I-X", "M-X"], None),
        (["O"], None),
    ],
)
def test_the_scheme_is_seen_in_the_tags(tags: list[str], scheme: str | None) -> None:
    assert schemes.scheme_of(tags) == scheme


@pytest.mark.parametrize(
    ("tag", "scheme", "expected"),
    [
        ("O", "bio", "O"),
        ("B-A", "bio", "I-A"),
        ("I-A", "bio", "I-A"),
        ("B-A", "bioes", "I-A"),
        ("E-A", "bioes", "E-A"),
        ("S-A", "bioes", "E-A"),
        ("M-A", "bmes", "M-A"),
    ],
)
def test_further_pieces_continue_a_tag(tag: str, scheme: Scheme, expected: str) -> None:
    assert schemes.following(tag, scheme) == expected


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_precision_recall_and_f1_equal_those_of_seqeval(scheme: Scheme) -> None:
    expected, found = drawn(scheme, 200, seed=2), drawn(scheme, 200, seed=3)
    found = [(tags * 8)[: len(wanted)] for wanted, tags in zip(expected, found)]
    for index in range(0, 200, 3):
        found[index] = expected[index]
    for start, part in ((0, 200), (30, 60), (3, 12)):
        one, two = found[start:part], expected[start:part]
        counts = span_counts([*map(schemes.spans, one)], [*map(schemes.spans, two)], TYPES)
        strict = span_counts(
            [schemes.strict_spans(tags, scheme) for tags in one],
            [schemes.strict_spans(tags, scheme) for tags in two],
            TYPES,
        )
        for name, theirs in {"f1": f1_score, "precision": precision_score, "recall": recall_score}.items():
            assert SPAN_METRICS[name].compute(counts) == pytest.approx(theirs(two, one))
            own = SPAN_METRICS[f"strict_{name}"].compute(strict)
            if not strict[:, 1:].any():  # there is no span; seqeval warns and gives 0
                assert math.isnan(own)
                continue
            assert own == pytest.approx(theirs(two, one, mode="strict", scheme=THEIRS[scheme]))


@pytest.mark.parametrize("context", [0, 1, 3])
def test_every_piece_is_labelled_in_one_window_with_its_context(context: int) -> None:
    for length in range(60):
        found = windows(length, 10, context)
        assert [place for each in found for place in range(each.first, each.last)] == list(range(length))
        for each in found:
            assert each.start <= each.first <= each.last <= each.end <= length
            assert each.end - each.start == min(length, 10)
            assert each.first - each.start >= context or each.start == 0
            assert each.end - each.last >= context or each.end == length
