"""Tests of the choice of the tokens that are hidden for a masked language model, and of what replaces them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import (
    CORPUS,
    FIRST,
    MASK,
    SPECIAL,
    TAIL,
    WORDS,
    draw,
    processor,
    rows_of,
    running_text,
)
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE
from tp_core.options.context import DataContext
from tp_text.processors.masking import Masking


def masked(folder: Path, count: int = 400, length: int = 100, **options: Any) -> tuple[list[Any], Masking]:
    made: Any = processor(folder, "mlm", max_length=length + 2, **options)
    found = []
    for i in range(count):
        ids = FIRST + np.random.default_rng(i).integers(0, WORDS, length, dtype=np.int32)
        sample = made.assemble(ids)
        before = sample["input_ids"].copy()
        made.masking(sample, np.random.default_rng(1000 + i))
        assert sample["mlm_labels"].tolist() == before[sample["mlm_positions"]].tolist()
        untouched = np.setdiff1d(np.arange(len(before)), sample["mlm_positions"])
        assert (sample["input_ids"][untouched] == before[untouched]).all()
        found.append((before, sample))
    return found, made.masking


@pytest.mark.parametrize("rates", [(0.15, 0.8, 0.1), (0.4, 0.5, 0.5), (0.3, 1.0, 0.0), (0.3, 0.0, 0.0)])
def test_mask_random_and_kept_tokens_have_their_rates(tmp_path: Path, rates: tuple[float, float, float]) -> None:
    rate, replace, random = rates
    found, _ = masked(tmp_path, mask_rate=rate, mask_replace=replace, random_replace=random)
    counts: Counter[str] = Counter()
    for before, sample in found:
        places = sample["mlm_positions"]
        assert len(places) == len(set(places.tolist())) == round(rate * 100)
        for old, new in zip(before[places], sample["input_ids"][places]):
            counts["mask" if new == MASK else "kept" if new == old else "random"] += 1
            assert new == MASK or new not in SPECIAL
    total = sum(counts.values())
    deviation = 4 * math.sqrt(0.25 / total)
    assert counts["mask"] / total == pytest.approx(replace, abs=deviation)
    assert counts["random"] / total == pytest.approx(random, abs=deviation + random / WORDS)
    assert counts["kept"] / total == pytest.approx(1 - replace - random, abs=deviation + random / WORDS)


def test_all_positions_are_chosen_equally_often(tmp_path: Path) -> None:
    found, _ = masked(tmp_path, count=800, length=20)
    counts = Counter(int(p) for _, sample in found for p in sample["mlm_positions"])
    assert set(counts) == set(range(1, 21))
    expected = 800 * 3 / 20
    assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values())


@pytest.mark.parametrize("options", [{}, {"whole_word": True}, {"span": True}])
def test_special_tokens_are_never_chosen(tmp_path: Path, options: dict[str, Any]) -> None:
    made: Any = processor(tmp_path, "bert", max_length=24, mask_rate=0.9, **options)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    for i in range(len(rows)):
        sample = draw(made, rows, i)
        assert not SPECIAL & set(sample["mlm_labels"].tolist())
        assert len(sample["mlm_positions"]) == len(set(sample["mlm_positions"].tolist())) <= made.masking.budget
        assert sorted(sample["mlm_positions"]) == sample["mlm_positions"].tolist()
    empty = made.assemble([], [])
    made.masking(empty, np.random.default_rng(0))
    assert len(empty["mlm_positions"]) == 0


def word_of(ids: list[int]) -> list[int]:
    """For each position the number of its word."""
    return list(itertools.accumulate(int(i < TAIL) for i in ids))


def test_whole_words_are_hidden_with_all_their_pieces(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "mlm", max_length=66, whole_word=True)
    random = np.random.default_rng(0)
    lengths = set()
    for i in range(300):
        words = [f"w{n}" + "abc"[: random.integers(0, 4)] for n in random.integers(0, WORDS, 14 if i % 2 else 3)]
        (ids,) = made.tokenizer.encode_batch([" ".join(words)])
        sample = made.assemble(np.array(ids))
        made.masking(sample, np.random.default_rng(i))
        owners = word_of(ids)
        chosen = {owners[p - 1] for p in sample["mlm_positions"]}
        assert len(sample["mlm_positions"]) == sum(owner in chosen for owner in owners)
        lengths |= {owners.count(word) for word in chosen}
        assert 1 <= len(sample["mlm_positions"]) <= made.masking.budget
    assert lengths == {1, 2, 3, 4}


def test_a_word_ends_at_a_special_token(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "bert", max_length=24, whole_word=True, mask_rate=0.1)
    chosen = set()
    for seed in range(100):
        sample = made.assemble([FIRST, TAIL], [TAIL + 1, FIRST + 1])  # w0 ##a [SEP] ##b w1
        made.masking(sample, np.random.default_rng(seed))
        chosen.add(tuple(sample["mlm_positions"].tolist()))
    assert chosen == {(4,), (5,)}  # one token is wanted: the cut word's rest, or the last word


def test_a_word_longer_than_the_budget_is_cut(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "mlm", max_length=14, whole_word=True)
    (ids,) = made.tokenizer.encode_batch(["w1abcabcabc"])
    sample = made.assemble(np.array(ids))
    made.masking(sample, np.random.default_rng(0))
    assert sample["mlm_positions"].tolist() == [1, 2]


def test_whole_words_need_a_vocabulary_that_says_where_words_begin(tmp_path: Path) -> None:
    from tests.text.vocabularies import tokenizer_json
    from tp_text.processors.mlm_options import MlmProcessorConfig
    from tp_text.tokenizers.huggingface_options import HuggingFaceConfig

    model = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3}}
    path = tokenizer_json(tmp_path, model=model, decoder=None, post_processor=None)
    built = HuggingFaceConfig(path=str(path)).build(DataContext())
    if built.word_starts() is not None:
        pytest.skip("this vocabulary says where words begin")
    with pytest.raises(TPError, match="does not say where words begin"):
        MlmProcessorConfig(whole_word=True).build(DataContext(), built)


def test_spans_are_contiguous_and_geometric(tmp_path: Path) -> None:
    # One span at a time: a budget of one span's greatest length, and counts of runs of neighbours.
    found, masking = masked(tmp_path, count=3000, length=200, span=True, mask_rate=0.05, span_p=0.4)
    runs: Counter[int] = Counter()
    for _, sample in found:
        places = sample["mlm_positions"]
        assert len(places) == 10 == masking.budget
        breaks = np.flatnonzero(np.diff(places) > 1)
        runs.update(np.diff([-1, *breaks, len(places) - 1]).tolist())
    total = sum(runs.values())
    mean = sum(length * n for length, n in runs.items()) / total
    assert 2.0 < mean < 2.6  # 1 / 0.4 = 2.5, less the cut at the budget, plus spans that touch
    for length in range(1, 4):
        assert runs[length + 1] / runs[length] == pytest.approx(0.6, abs=0.12)


def test_no_span_reaches_over_a_special_token(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "bert", max_length=24, span=True, span_p=0.01, span_max_length=3, mask_rate=0.15)
    first, second = np.arange(FIRST, FIRST + 10), np.arange(FIRST + 20, FIRST + 30)
    both, contiguous = 0, 0
    for seed in range(2000):
        sample = made.assemble(first, second)
        made.masking(sample, np.random.default_rng(seed))
        places = set(sample["mlm_positions"].tolist())
        assert len(places) == 3
        both += {10, 12} <= places
        contiguous += max(places) - min(places) == 2
    assert both < 40  # two spans that happen to meet there; one span would do it 200 times
    assert contiguous > 1500


def test_masked_labels_have_a_static_shape(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=40)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    shapes = set()
    for i in range(len(rows)):
        sample = draw(made, rows, i)
        labels = made.collate([sample]).labels["mlm"]
        shapes.add((tuple(labels["labels"].shape), tuple(labels["positions"].shape)))
        count = len(sample["mlm_positions"])
        assert labels["labels"][0, :count].tolist() == sample["mlm_labels"].tolist()
        assert labels["positions"][0, :count].tolist() == sample["mlm_positions"].tolist()
        assert set(labels["labels"][0, count:].tolist()) <= {IGNORE}
    assert shapes == {((1, 6), (1, 6))}
