"""T5's, BART's and PEGASUS's instances: what is hidden, and that the target brings it back."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import (
    ALL,
    CLS,
    CORPUS,
    EOS,
    FIRST,
    LINES,
    MASK,
    PAD,
    SIZE,
    draw,
    numbers,
    processor,
    records,
    rows_of,
    running_text,
)
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, GenerationTokens, PromptRoom
from tp_text.processors.bart import infilled, permuted, thinned
from tp_text.processors.gap_sentences import principal, rouge_against_rest, runs
from tp_text.processors.reading import tokenized
from tp_text.processors.sentinels import find_sentinels
from tp_text.processors.span_corruption import corrupt, span_mask
from tp_text.processors.span_lengths import SpanLengths

#: As in T5's vocabularies: the first sentinel has the highest id.
SENTINELS = tuple(f"<extra_id_{number}>" for number in reversed(range(30)))
LONG = [document for document in CORPUS if len(document) > 1]


def t5(folder: Path, **options: Any) -> Any:
    return processor(folder, "t5", extra=SENTINELS, **options)


def restored(source: list[int], target: list[int], sentinels: list[int]) -> list[int]:
    """The text of which the source and the target are made."""
    spans: dict[int, list[int]] = {}
    current = -1
    for index in target:
        if index in sentinels:
            current = index
            spans[current] = []
        else:
            spans[current].append(index)
    return [i for index in source for i in (spans[index] if index in sentinels else [index])]


# -- T5 --------------------------------------------------------------------------------------------------------------


def test_the_papers_example_is_corrupted_as_in_the_paper() -> None:
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
    hidden = [word in ("for", "inviting", "last") for word in words]
    x, y, z = 100, 101, 102
    source, target = corrupt(np.arange(10, dtype=np.int32), np.array(hidden), np.array([x, y, z], np.int32))
    assert [words[i] if i < 10 else i for i in source] == ["Thank", "you", x, "me", "to", "your", "party", y, "week"]
    assert [words[i] if i < 10 else i for i in target] == [x, "for", "inviting", y, "last", z]


def test_source_and_target_of_t5_restore_the_text_and_sentinels_come_in_order(tmp_path: Path) -> None:
    made = t5(tmp_path, max_length=40)
    sentinels = made.sentinels.tolist()
    assert sentinels == list(range(SIZE + 29, SIZE - 1, -1))
    rows = rows_of(tmp_path, made, LINES)
    masks = set()
    for epoch, index in itertools.product(range(4), range(len(rows))):
        sample = draw(made, rows, index, epoch)
        source, target = sample["input_ids"].tolist(), sample["target_ids"].tolist()
        assert source[-1] == target[-1] == EOS
        assert restored(source[:-1], target[:-1], sentinels) == rows.get("tokens", index).tolist()
        used = [i for i in source if i in sentinels]
        assert used == sentinels[: len(used)] == [i for i in target if i in sentinels]
        assert target[0] == sentinels[0]
        if index == 0:
            masks.add(tuple(source))
    assert len(masks) == 4, "each visit hides other spans"


@pytest.mark.parametrize("name", ["t5", "gsg"])
def test_a_source_may_begin_with_a_special_token(tmp_path: Path, name: str) -> None:
    made = processor(tmp_path, name, extra=SENTINELS, max_length=40, source_start="cls", start="cls")
    documents = LINES if name == "t5" else running_text(LONG)
    rows = rows_of(tmp_path, made, documents)
    for index in range(len(rows)):
        source = draw(made, rows, index)["input_ids"].tolist()
        assert (source[0], source[-1]) == (CLS, EOS)
        assert len(source) <= 40
    (sample,) = made.prompts(records(["w1 w2"]), PromptRoom(40))
    assert (sample["input_ids"][0], sample["input_ids"][-1]) == (CLS, EOS)
    assert made.generation().start == (CLS,)


@pytest.mark.parametrize(("start", "expected"), [("cls", (CLS,)), (None, (EOS, CLS))])
def test_the_decoder_of_bart_begins_with_each_special_token_once(
    tmp_path: Path, start: str | None, expected: tuple[int, ...]
) -> None:
    made = processor(tmp_path, "bart", max_length=40, start=start)
    assert made.generation().start == expected
    rows = rows_of(tmp_path, made, running_text(LONG))
    decoder = made.collate([draw(made, rows, 0)]).target["input_ids"][0].tolist()
    assert tuple(decoder[: len(expected)]) == expected
    assert CLS not in decoder[len(expected) :]


def test_rows_of_t5_hold_every_token_and_fill_the_source_exactly(tmp_path: Path) -> None:
    made = t5(tmp_path, max_length=40)
    rows = rows_of(tmp_path, made, LINES)
    each = [rows.get("tokens", n).tolist() for n in range(len(rows))]
    assert [i for row in each for i in row] == ALL
    assert {len(row) for row in each[:-1]} == {made.row_length}
    samples = [draw(made, rows, n) for n in range(len(rows) - 1)]
    assert {len(s["input_ids"]) for s in samples} == {40}
    assert {len(s["target_ids"]) for s in samples} == {made.target_max_length}


@pytest.mark.parametrize(("max_length", "length", "target"), [(512, 568, 114), (1024, 1137, 229), (64, 70, 14)])
def test_row_lengths_are_those_of_t5(max_length: int, length: int, target: int) -> None:
    spans = SpanLengths(0.15, 3.0)
    row = spans.longest_row(max_length, None)
    # T5's code gives 568 and 114 for its inputs of 512: 85 hidden tokens in 28 spans.
    assert (row, spans.target_length(row)) == (length, target)
    assert spans.source_length(row) == max_length
    assert spans.source_length(row + 1) > max_length
    for bound in (40, 20, 4):
        bounded = spans.longest_row(max_length, bound)
        assert spans.target_length(bounded) <= bound
        assert bounded == row or spans.target_length(bounded + 1) > bound


@pytest.mark.parametrize(("density", "mean"), [(0.15, 3.0), (0.5, 3.0), (0.15, 8.0), (0.9, 1.0)])
def test_masks_hide_the_asked_for_part_in_spans_of_the_asked_for_mean(density: float, mean: float) -> None:
    spans, random = SpanLengths(density, mean), np.random.default_rng(0)
    first: Counter[int] = Counter()
    for length in (2, 3, 7, 40, 200):
        for _ in range(50):
            mask = span_mask(length, spans, random)
            assert len(mask) == length
            starts = np.flatnonzero(mask & ~np.concatenate([[False], mask[:-1]]))
            assert (int(mask.sum()), len(starts)) == spans.hidden(length)
            assert not mask[0]
            first[int(starts[0])] += length == 200
    assert spans.hidden(200)[0] == round(200 * density)
    if density < 0.5:
        assert len(first) > 5, "spans begin at many places"


def test_every_position_of_a_row_is_hidden_about_as_often_as_the_others() -> None:
    random = np.random.default_rng(0)
    masks = np.array([span_mask(60, SpanLengths(0.3, 3.0), random) for _ in range(4000)])
    often = masks.mean(axis=0)[6:54]  # the first position is never hidden and the last always
    assert often.mean() == pytest.approx(0.3, abs=0.02)
    assert often.max() - often.min() < 0.08


def test_sentinels_may_be_unused_tokens_or_named(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "t5", extra=("[unused1]", "[unused2]", "[unused4]", "[gap-0]"), max_length=8)
    assert made.sentinels.tolist() == [SIZE, SIZE + 1, SIZE + 2]
    assert find_sentinels(made.tokenizer.ids_by_token(), "[gap-{}]") == [SIZE + 3]


def test_a_vocabulary_with_too_few_sentinels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TPError, match=r"rows of 70 tokens need 4 sentinel tokens, and the vocabulary has none \(spelled"
    ):
        processor(tmp_path, "t5", max_length=64)
    with pytest.raises(TPError, match=r"has 3 \(spelled <s{}>\); give sentinel_pattern"):
        processor(tmp_path, "t5", extra=("<s0>", "<s1>", "<s2>"), max_length=64, sentinel_pattern="<s{}>")


# -- batches of an encoder and a decoder -----------------------------------------------------------------------------


def test_decoder_inputs_are_the_targets_shifted_and_padding_has_no_label(tmp_path: Path) -> None:
    made = t5(tmp_path, max_length=24)
    rows = rows_of(tmp_path, made, LINES)
    samples = [draw(made, rows, n) for n in (0, len(rows) - 1)]
    assert len(samples[0]["target_ids"]) != len(samples[1]["target_ids"])
    batch = made.collate(samples)
    assert batch.target is not None
    labels, inputs = batch.labels["lm"]["labels"], batch.target["input_ids"]
    assert labels.shape == inputs.shape
    for row, sample in enumerate(samples):
        target = sample["target_ids"].tolist()
        assert labels[row].tolist() == [*target, *[IGNORE] * (labels.shape[1] - len(target))]
        assert inputs[row, : len(target)].tolist() == [PAD, *target[:-1]]
        assert batch.target["attention_mask"][row].tolist() == [int(n < len(target)) for n in range(labels.shape[1])]
        assert batch.inputs["attention_mask"][row].sum() == len(sample["input_ids"])


def test_at_inference_the_decoder_begins_with_the_start_token(tmp_path: Path) -> None:
    made = t5(tmp_path, max_length=24)
    batch = made.collate(made.encode(records(["w1 w2", {"source": "w3"}])))
    assert batch.inputs["input_ids"][:, :4].tolist() == [[7, 8, EOS, PAD], [9, EOS, PAD, PAD]]
    assert batch.target == {"input_ids": batch.target["input_ids"]}
    assert batch.target["input_ids"].tolist() == [[PAD], [PAD]]
    assert batch.labels["lm"]["labels"].tolist() == [[IGNORE], [IGNORE]]
    assert made.generation() == GenerationTokens((PAD,), (EOS,), PAD)
    assert made.decode([PAD, 7, 8, EOS]) == "w1 w2"


# -- BART ------------------------------------------------------------------------------------------------------------


def test_the_target_of_bart_is_the_text_itself(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "bart", max_length=40)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    assert [int(i) for n in range(len(rows)) for i in rows.get("tokens", n)] == ALL
    for epoch, index in itertools.product(range(3), range(len(rows))):
        sample = draw(made, rows, index, epoch)
        text = rows.get("tokens", index).tolist()
        assert sample["target_ids"].tolist() == [CLS, *text, EOS]
        source = sample["input_ids"].tolist()
        assert (source[0], source[-1]) == (CLS, 3)  # a BERT vocabulary frames sources with [CLS] and [SEP]
        left = [i for i in source[1:-1] if i != MASK]
        assert Counter(left) <= Counter(text)
        assert len(text) - len(left) == round(0.3 * len(text))
    assert made.generation().start == (EOS, CLS)


def test_spans_of_bart_have_poisson_lengths_and_keep_the_order() -> None:
    random = np.random.default_rng(0)
    tokens = np.arange(1000, 1200, dtype=np.int32)
    masks, lengths = [], []
    for _ in range(300):
        found = infilled(tokens, 0.3, 3.0, MASK, 500, random)
        left = found[found != MASK]
        assert (np.diff(left) > 0).all()
        assert len(left) == 140
        masks.append(int((found == MASK).sum()))
        bounds = np.concatenate([[999], left, [1200]])
        lengths.append(np.diff(bounds).sum() - len(bounds) + 1)
    # 60 tokens in spans of 3 on average, those of length 0 included; the last span is cut.
    assert np.mean(masks) == pytest.approx(60 / 3 + 0.5, abs=0.6)
    assert set(lengths) == {60}


def test_spans_of_bart_are_anywhere_in_the_text() -> None:
    random = np.random.default_rng(1)
    tokens = np.arange(50, dtype=np.int32) + 100
    hidden = np.zeros(50)
    for _ in range(3000):
        hidden += ~np.isin(tokens, infilled(tokens, 0.3, 3.0, MASK, 50, random))
    assert hidden.mean() / 3000 == pytest.approx(0.3)
    assert np.abs(hidden / 3000 - 0.3)[3:-3].max() < 0.06


@pytest.mark.parametrize("mean", [0.1, 1.0, 3.0, 20.0])
def test_inserted_masks_never_make_a_source_too_long(mean: float) -> None:
    random = np.random.default_rng(0)
    for length in (1, 2, 5, 30):
        tokens = np.arange(length, dtype=np.int32) + 100
        for _ in range(50):
            found = infilled(tokens, 0.5, mean, MASK, length, random)
            assert len(found) <= length
            assert int((found != MASK).sum()) == length - round(0.5 * length)


def test_sentences_of_bart_are_permuted_whole() -> None:
    random = np.random.default_rng(0)
    lengths = np.array([3, 1, 4, 2])
    tokens = np.arange(10, dtype=np.int32)
    sentences = [tuple(part) for part in np.split(tokens, [3, 4, 8])]
    orders: Counter[tuple[int, ...]] = Counter()
    for _ in range(2400):
        rest = permuted(tokens, lengths, 1.0, random).tolist()
        order = []
        while rest:
            number = next(n for n, s in enumerate(sentences) if s[0] == rest[0])
            assert tuple(rest[: lengths[number]]) == sentences[number]
            order.append(number)
            rest = rest[lengths[number] :]
        orders[tuple(order)] += 1
    assert len(orders) == math.factorial(4)
    assert min(orders.values()) > 60
    half = Counter(tuple(permuted(tokens, lengths, 0.5, random).tolist()) for _ in range(400))
    assert len(half) == 1 + math.comb(4, 2)  # two sentences change places, or stay
    assert permuted(tokens, lengths, 0.0, random) is tokens


def test_tokens_are_masked_and_left_out_at_the_asked_for_rates() -> None:
    random = np.random.default_rng(0)
    tokens = np.arange(20_000, dtype=np.int32) + 10
    tokens[:1000] = MASK  # spans that are masked already stay
    found = thinned(tokens, 0.1, 0.2, MASK, random)
    assert (found == MASK).sum() == pytest.approx(1000 + 1900, abs=150)
    assert len(found) == pytest.approx(20_000 - 3800, abs=200)
    left = found[found != MASK]
    assert (np.diff(left) > 0).all()
    assert len(thinned(np.array([7], np.int32), 0.0, 0.99, MASK, random)) == 1


def test_a_rotated_row_begins_anywhere_and_goes_round(tmp_path: Path) -> None:
    made = processor(tmp_path, "bart", max_length=30, infill_rate=0.0, permute_rate=0.0, rotate_rate=1.0)
    rows = rows_of(tmp_path, made, records(["w0 w1 w2 w3 w4"]))
    starts = set()
    for epoch in range(60):
        source = draw(made, rows, 0, epoch)["input_ids"].tolist()[1:-1]
        starts.add(source[0])
        assert source == [FIRST + (source[0] - FIRST + n) % 5 for n in range(5)]
    assert starts == set(numbers("w0 w1 w2 w3 w4"))


# -- PEGASUS ---------------------------------------------------------------------------------------------------------


def brute_force(sentences: list[list[int]]) -> list[float]:
    """ROUGE-1 F1 of each sentence against the rest, from its definition."""
    scores = []
    for number, sentence in enumerate(sentences):
        rest = Counter(i for n, other in enumerate(sentences) if n != number for i in other)
        shared = sum((Counter(sentence) & rest).values())
        precision, recall = shared / len(sentence), shared / sum(rest.values())
        scores.append(2 * precision * recall / (precision + recall) if shared else 0.0)
    return scores


def test_principal_sentences_are_those_with_the_best_rouge_against_the_rest() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        count = int(random.integers(2, 15))
        sentences = [random.integers(0, 12, size=random.integers(1, 9)).astype(np.int32) for _ in range(count)]
        scores = brute_force([s.tolist() for s in sentences])
        np.testing.assert_allclose(rouge_against_rest(sentences), scores)
        for ratio in (0.15, 0.3, 0.9):
            wanted = min(max(1, round(ratio * count)), count - 1)
            best = sorted(sorted(range(count), key=lambda n: (-round(scores[n], 12), n))[:wanted])
            assert principal(sentences, ratio).tolist() == best


def test_gap_sentences_are_masked_in_the_source_and_are_the_target(tmp_path: Path) -> None:
    made = processor(tmp_path, "gsg", max_length=64, gap_ratio=0.4)
    rows = rows_of(tmp_path, made, running_text(LONG))
    for index in range(len(rows)):
        sample = draw(made, rows, index)
        sentences = np.split(rows.get("tokens", index), np.cumsum(rows.get("lengths", index))[:-1])
        gaps = rows.get("gaps", index).tolist()
        assert 1 <= len(gaps) < len(sentences)
        source = [i for n, s in enumerate(sentences) for i in ([MASK] if n in gaps else s.tolist())]
        assert sample["input_ids"].tolist() == [*source, EOS]
        assert sample["target_ids"].tolist() == [*(i for n in gaps for i in sentences[n].tolist()), EOS][:64]
    batch = made.collate([draw(made, rows, 0)])
    assert batch.target is not None
    assert batch.target["input_ids"][0, 0] == PAD


def test_the_sentence_mask_of_pegasus_is_found_or_named(tmp_path: Path) -> None:
    assert processor(tmp_path, "gsg", extra=("<mask_1>",)).sentence_mask == SIZE  # type: ignore[attr-defined]
    named: Any = processor(tmp_path, "gsg", extra=("<mask_1>", "[GAP]"), mask_token="[GAP]")
    assert named.sentence_mask == SIZE + 1
    with pytest.raises(TPError, match=r"gsg\.mask_token: the vocabulary has no token '\[gap\]'"):
        processor(tmp_path, "gsg", mask_token="[gap]")


def test_a_document_of_one_sentence_has_no_gap_and_is_reported(tmp_path: Path) -> None:
    made = processor(tmp_path, "gsg", max_length=32)
    reported: list[DataError] = []
    (columns,) = made.prepare(iter(records(["w1 w2", "w2", "", "w3 w4", "", "w5", "w6 w5"])), reported.append)
    assert len(columns["tokens"]) == 2
    (error,) = reported
    assert str(error).startswith("corpus.txt:4: this document has one sentence, and a gap needs two")


@pytest.mark.parametrize("room", [4, 9, 20, 50])
def test_long_documents_are_several_and_none_ends_with_a_single_sentence(tmp_path: Path, room: int) -> None:
    made: Any = processor(tmp_path, "gsg")
    given = running_text(LONG)
    found = list(runs(tokenized(made.tokenizer, iter(given), lambda error: None), room))
    flat: list[int] = []
    for run in found:
        assert len(run.sentences) > 1
        assert sum(map(len, run.sentences)) <= room
        sentences = run.sentences
        if flat[-len(sentences[0]) :] == sentences[0].tolist():  # the sentence that is given again
            sentences = sentences[1:]
        flat += [int(i) for s in sentences for i in s]
    assert flat == [i for document in LONG for line in document for i in numbers(line)]
