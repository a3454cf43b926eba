"""The processor of masked image modelling: which patches are masked, and what batches hold."""

from __future__ import annotations

import io
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tp_core import DataContext
from tp_core.interfaces import Record
from tp_core.testing import check_module
from tp_vision.facts import GridFacts
from tp_vision.processors.masked_image_options import MaskedImageConfig
from tp_vision.processors.masks import blockwise_mask, random_mask

GRID = DataContext(facts={GridFacts: GridFacts(4, 6, (2, 2), 3, 1)})


def scan(seed: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [{}, {"mask_unit": 2, "mask_ratio": 0.6}, {"masking": "blockwise", "mask_ratio": 0.4, "min_block": 4}],
    ids=["random", "squares", "blockwise"],
)
def test_the_processor_keeps_its_contracts(options: dict[str, Any]) -> None:
    records = [{"image": {"bytes": scan(n), "path": None}} for n in range(5)]
    check_module("masked_image", "processor", options, records=records, data=GRID)


@pytest.mark.parametrize(("ratio", "expected"), [(0.75, 18), (0.6, 15), (0.4, 10), (0.01, 1), (0.99, 23)])
def test_the_number_of_masked_patches_is_that_of_mae_and_neither_none_nor_all(ratio: float, expected: int) -> None:
    assert MaskedImageConfig(mask_ratio=ratio).count(GRID.fact(GridFacts)) == expected


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("count", [1, 40, 75, 195])
@pytest.mark.parametrize("kind", ["random", "squares", "blockwise"])
def test_every_picture_has_as_many_masked_patches(kind: str, count: int) -> None:
    for seed in range(20):
        if kind == "blockwise":
            positions = blockwise_mask((14, 14), count, 16, 0.3, generator(seed))
        else:
            positions = random_mask((14, 14), count, 2 if kind == "squares" else 1, generator(seed))
        assert len(set(positions.tolist())) == count
        assert positions.dtype == np.int64
        assert list(positions) == sorted(positions)
        assert 0 <= positions.min() <= positions.max() < 196


def test_random_masks_have_no_favourite_patches() -> None:
    counts = np.zeros(24)
    for seed in range(2000):
        counts[random_mask((4, 6), 6, 1, generator(seed))] += 1
    assert np.abs(counts / 2000 - 0.25).max() < 0.04


def test_squares_are_masked_as_a_whole() -> None:
    masked = np.zeros((6, 8), dtype=bool)
    masked.reshape(-1)[random_mask((6, 8), 16, 2, generator(0))] = True
    squares = masked.reshape(3, 2, 4, 2).sum(axis=(1, 3))
    assert sorted(set(squares.flatten().tolist())) == [0, 4]


def largest_region(masked: NDArray[np.bool_]) -> int:
    left, best = {(int(r), int(c)) for r, c in zip(*masked.nonzero())}, 0
    while left:
        queue, size = deque([left.pop()]), 0
        while queue:
            row, column = queue.popleft()
            size += 1
            for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if near in left:
                    left.remove(near)
                    queue.append(near)
        best = max(best, size)
    return best


def test_blockwise_masks_hang_together_more_than_random_ones() -> None:
    def mean_region(kind: str) -> float:
        sizes = []
        for seed in range(30):
            masked = np.zeros((14, 14), dtype=bool)
            found = random_mask((14, 14), 75, 1, generator(seed))
            if kind == "blockwise":
                found = blockwise_mask((14, 14), 75, 16, 0.3, generator(seed))
            masked.reshape(-1)[found] = True
            sizes.append(largest_region(masked))
        return float(np.mean(sizes))

    assert mean_region("blockwise") > 2 * mean_region("random")


def test_batches_have_the_mask_in_each_form() -> None:
    processor = MaskedImageConfig(mask_ratio=0.5).build(GRID, None)
    pixels = np.zeros((3, 8, 12), dtype=np.float32)
    positions = [np.array([0, 5, 23]), np.array([1, 2, 3])]
    processor.count = 3  # type: ignore[attr-defined]
    batch = processor.collate([{"pixel_values": pixels, "masked": each} for each in positions])
    assert batch.labels["masked"]["positions"].tolist() == [[0, 5, 23], [1, 2, 3]]
    for row, places in enumerate(positions):
        assert batch.inputs["bool_masked_pos"][row].nonzero().flatten().tolist() == places.tolist()
        assert batch.inputs["visible_ids"][row].tolist() == [n for n in range(24) if n not in places]


def test_inference_masks_nothing() -> None:
    processor = MaskedImageConfig().build(GRID, None)
    samples = processor.encode([Record({"image": {"bytes": scan(0), "path": None}}, "file", 1)])
    batch = processor.collate(samples)
    assert set(batch.inputs) == {"pixel_values"}
    assert not batch.labels


class OneRow:
    """A row as the cache gives it."""

    def get(self, column: str, index: int) -> Any:
        return np.frombuffer(scan(index) if column == "image" else b"place", np.uint8)


def test_evaluation_masks_but_changes_nothing_else() -> None:
    options = {"augment": {"crop": "padded", "flip": 0.5}}
    processor = MaskedImageConfig.model_validate(options).build(GRID, None)
    rows: Any = OneRow()
    first = [processor.evaluation_sample(rows, 0, generator(seed)) for seed in range(4)]
    assert all(np.array_equal(first[0]["pixel_values"], each["pixel_values"]) for each in first)
    assert len({tuple(each["masked"]) for each in first}) > 1
    again = processor.evaluation_sample(rows, 0, generator(2))
    assert np.array_equal(again["masked"], first[2]["masked"])
    samples = [processor.sample(rows, 0, generator(seed)) for seed in range(4)]
    assert len({each["pixel_values"].tobytes() for each in samples}) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_unit": 4}, "squares of 4 patches do not fill a grid of 4 x 6"),
        ({"masking": "blockwise", "mask_unit": 2}, "belongs to masking: random"),
        ({"augment": {"mixup": 0.2}}, "mixup and cutmix are for classification"),
    ],
)
def test_options_that_cannot_work_are_explained(options: dict[str, Any], message: str) -> None:
    from tp_core import BuildContext

    config = MaskedImageConfig.model_validate(options)
    problems = [problem.message for problem in config.check(BuildContext().with_facts(GRID.fact(GridFacts)))]
    assert any(message in problem for problem in problems), problems


def test_masks_are_drawn_by_the_samples_generator_alone() -> None:
    processor = MaskedImageConfig().build(GRID, None)
    rows: Any = OneRow()
    torch.manual_seed(1)
    before = processor.sample(rows, 0, generator(0))
    torch.manual_seed(2)
    after = processor.sample(rows, 0, generator(0))
    assert np.array_equal(before["masked"], after["masked"])
