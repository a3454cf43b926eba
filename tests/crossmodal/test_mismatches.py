"""A mismatched picture is another picture by its content, and none that the text belongs to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.crossmodal.pictures import WORDS, context, png, rows_of, tokenizer
from tp_core.data.sampling.order import EVALUATION, TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Processor, Rows, Sample
from tp_crossmodal.processors import image_text
from tp_crossmodal.processors.image_text_options import ImageTextProcessorConfig, RegionTextProcessorConfig
from tp_crossmodal.processors.image_text_pair_options import ImageTextPairProcessorConfig, RegionTextPairProcessorConfig
from tp_crossmodal.processors.mismatches import Mismatches

STREAMS = ("text", "image")
#: (picture, caption) of each record: several captions of a picture, captions of several pictures, a pair twice.
PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 4), (2, 5), (2, 5), (3, 6), (3, 1), (4, 7)]


def visual(number: int, form: str) -> Any:
    return png(20 * number) if form == "image" else [[float(number)] * 4] * (1 + number % 2)


def captioned(pairs: list[tuple[int, int]], form: str = "image") -> list[dict[str, Any]]:
    return [{form: visual(picture, form), "text": f"a {WORDS[caption]}"} for picture, caption in pairs]


def made(folder: Path, form: str, *targets: str, streams: tuple[str, ...] = ()) -> Processor:
    kinds: dict[tuple[str, bool], Any] = {
        ("image", False): ImageTextProcessorConfig(),
        ("image", True): ImageTextPairProcessorConfig(),
        ("regions", False): RegionTextProcessorConfig(region_size=4),
        ("regions", True): RegionTextPairProcessorConfig(region_size=4),
    }
    built: Processor = kinds[form, bool(streams)].build(context(*targets, streams=streams), tokenizer(folder))
    return built


def number_of(sample: Sample) -> int:
    """The number of a sample's picture, from its shade or its features."""
    if "regions" in sample:
        return int(sample["regions"][0, 0])
    return round((float(sample["pixel_values"].mean()) * 0.5 + 0.5) * 255 / 20)


def draws(processor: Processor, rows: Rows, epochs: int) -> list[tuple[int, Sample]]:
    """Samples of several epochs, and those of evaluations with as many seeds."""
    found = []
    for index in range(len(rows)):
        for number in range(epochs):
            found.append((index, processor.sample(rows, index, generator(0, TRAIN, number, index))))
            evaluated = processor.evaluation_sample(rows, index, generator(number, EVALUATION, 0, index))
            found.append((index, evaluated))
    return found


@pytest.mark.parametrize("streams", [(), STREAMS], ids=["one sequence", "two streams"])
@pytest.mark.parametrize("form", ["image", "regions"])
def test_no_mismatch_is_a_pair_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, streams: tuple[str, ...]
) -> None:
    monkeypatch.setattr(image_text, "_CHUNK", 4)  # rows are written in several parts
    processor = made(tmp_path, form, "itm", streams=streams)
    rows = rows_of(processor, captioned(PAIRS, form), tmp_path)
    drawn = draws(processor, rows, 30)
    for index, sample in drawn:
        assert sample["itm"] == ((number_of(sample), PAIRS[index][1]) in PAIRS)
        assert sample["itm"] == (number_of(sample) == PAIRS[index][0])
    assert np.mean([sample["itm"] for _, sample in drawn]) == pytest.approx(0.5, abs=0.06)
    mismatched = {(PAIRS[index][1], number_of(sample)) for index, sample in drawn if not sample["itm"]}
    assert mismatched == {(text, n) for _, text in PAIRS for n in range(5) if (n, text) not in PAIRS}


def test_a_mismatch_is_drawn_by_the_records_that_have_it() -> None:
    """A picture must not be rarer beside texts of others than beside its own: that alone would tell."""
    pictures, texts = np.array(PAIRS, dtype=np.int64).T
    found, size = Mismatches(texts, pictures), 6000
    drawn = np.random.default_rng(0)
    for record in (0, 3, 9):
        own = set(pictures[texts == texts[record]])
        allowed = [n for n in range(len(PAIRS)) if pictures[n] not in own]
        counts = Counter(found.draw(record, drawn) for _ in range(size))
        assert sorted(counts) == allowed  # type: ignore[type-var]
        expected = size / len(allowed)
        assert sum((count - expected) ** 2 / expected for count in counts.values()) < 25  # chi², up to 8 degrees


@pytest.mark.parametrize("seed", range(20))
def test_any_data_have_the_mismatches_that_looking_at_all_pairs_finds(seed: int) -> None:
    class Chosen:
        """A generator that gives a number, and says below which it had to be."""

        def __init__(self, number: int) -> None:
            self.number, self.below = number, 0

        def integers(self, below: int) -> int:
            self.below = below
            return self.number

    shape = np.random.default_rng(seed)
    size = int(shape.integers(1, 40))
    texts, pictures = (shape.integers(-5, shape.integers(-4, 9), size) * 2**40 for _ in range(2))
    found = Mismatches(texts, pictures)
    for record in range(size):
        own = set(pictures[texts == texts[record]])
        allowed = [n for n in range(size) if pictures[n] not in own]
        given: list[Any] = [Chosen(number) for number in range(max(1, len(allowed)))]
        drawn = [found.draw(record, each) for each in given]
        assert (sorted(drawn) if allowed else drawn) == (allowed or [None])  # type: ignore[type-var]
        assert {each.below for each in given} == {len(allowed)}


def test_a_text_that_belongs_to_every_picture_keeps_its_own(tmp_path: Path) -> None:
    processor = made(tmp_path, "image", "itm")
    rows = rows_of(processor, captioned([(0, 1), (1, 1), (1, 2)]), tmp_path)
    drawn = draws(processor, rows, 20)
    assert {sample["itm"] for index, sample in drawn if index < 2} == {1}
    assert {number_of(sample) for index, sample in drawn if index == 2 and not sample["itm"]} == {0}


@pytest.mark.parametrize(
    ("form", "pairs", "same"),
    [
        ("image", [(0, 1), (0, 2)], "image"),
        ("regions", [(3, 1), (3, 2)], "regions"),
        ("image", [(0, 1), (1, 1)], "text"),
        ("image", [(0, 1)], "text and the same image"),
    ],
)
def test_data_without_any_mismatch_are_refused(
    tmp_path: Path, form: str, pairs: list[tuple[int, int]], same: str
) -> None:
    message = f"^records: image-text matching needs different texts and pictures, but all records have the same {same}$"
    with pytest.raises(DataError, match=message):
        rows_of(made(tmp_path, form, "itm"), captioned(pairs, form), tmp_path)
    assert len(rows_of(made(tmp_path, form), captioned(pairs, form), tmp_path)) == len(pairs)


@pytest.mark.parametrize("streams", [("text", "image"), ("image", "text")])
@pytest.mark.parametrize("form", ["image", "regions"])
def test_batches_say_which_items_are_equal(tmp_path: Path, form: str, streams: tuple[str, ...]) -> None:
    processor = made(tmp_path, form, "clr", "itm", streams=streams)
    rows = rows_of(processor, captioned(PAIRS, form), tmp_path)
    drawn = draws(processor, rows, 3)
    labels = processor.collate([sample for _, sample in drawn]).labels["clr"]
    texts, pictures = labels["items"].T.tolist() if streams[0] == "text" else labels["items"].flip(1).T.tolist()
    seen = {(PAIRS[index][1], text) for (index, _), text in zip(drawn, texts)}
    shown = {(number_of(sample), picture) for (_, sample), picture in zip(drawn, pictures)}
    assert len(seen) == len({text for _, text in seen}) == len({caption for _, caption in PAIRS})
    assert len(shown) == len({picture for _, picture in shown}) == 5  # of a mismatched picture, that picture's own
    expected = [1 if sample["itm"] == 1 else IGNORE for _, sample in drawn]
    assert labels["labels"].tolist() == expected
