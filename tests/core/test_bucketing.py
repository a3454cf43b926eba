"""``data.bucket``: batches of like length, as a pure function of (seed, step)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.routing import Feed
from tp_core.data.sampling.loader import BatchPlan, training_batches
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.data.sampling.order import Order
from tp_core.interfaces import Batch, Processor, Rows

LENGTHS = np.random.default_rng(0).integers(1, 200, 1003)


class Lists(Rows):
    def __len__(self) -> int:
        return len(LENGTHS)

    def get(self, column: str, index: int) -> Any:
        return np.zeros(LENGTHS[index], np.int32)


class Numbers(Processor):
    """Samples are their own numbers."""

    def prepare(self, records: Any, report: Any) -> Any:
        raise NotImplementedError

    def sample(self, rows: Rows, index: int, generator: Any) -> Any:
        return {"index": index}

    def encode(self, records: Any) -> Any:
        raise NotImplementedError

    def collate(self, samples: Any) -> Batch:
        return Batch.of({"index": torch.tensor([s["index"] for s in samples])}, len(samples))


def order(bucket: int = 10, seed: int = 5, batch_size: int = 8) -> Order:
    return Order(seed, len(LENGTHS), batch_size, bucket, LENGTHS)


def indices(found: Order, epoch: int) -> list[int]:
    size = len(LENGTHS)
    each = [found.locate(number) for number in range(epoch * size, (epoch + 1) * size)]
    assert {number for number, _ in each} == {epoch}
    return [index for _, index in each]


def padding(found: list[int], batch_size: int, begin: int = 0) -> float:
    """The part of padded batches that is padding."""
    steps = [LENGTHS[found[i : i + batch_size]] for i in range(begin, len(found) - batch_size, batch_size)]
    return 1 - sum(step.sum() for step in steps) / sum(step.max() * len(step) for step in steps)


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_each_epoch_has_each_instance_once_and_an_order_of_its_own(epoch: int) -> None:
    assert sorted(indices(order(), epoch)) == list(range(len(LENGTHS)))
    assert indices(order(), epoch) != indices(order(), epoch + 1)
    assert indices(order(), epoch) != indices(order(seed=6), epoch)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_steps_of_every_epoch_have_little_padding(epoch: int) -> None:
    begin = -epoch * len(LENGTHS) % 8
    assert padding(indices(Order(5, len(LENGTHS)), epoch), 8, begin) > 0.4
    assert padding(indices(order(), epoch), 8, begin) < 0.1


def test_long_and_short_steps_come_by_turns() -> None:
    found = indices(order(bucket=50), 0)[:400]
    means = np.array([LENGTHS[found[i : i + 8]].mean() for i in range(0, 400, 8)])
    assert abs(np.corrcoef(np.arange(50), means)[0, 1]) < 0.5


def test_the_order_does_not_depend_on_what_was_asked_before() -> None:
    one, other = order(), order()
    numbers = np.random.default_rng(1).permutation(3000)
    asked = {int(number): one.locate(int(number)) for number in numbers}
    assert all(other.locate(number) == place for number, place in sorted(asked.items()))


def test_without_lengths_the_order_is_the_plain_permutation() -> None:
    assert indices(Order(5, len(LENGTHS), 8, 0, LENGTHS), 1) == indices(Order(5, len(LENGTHS)), 1)


def test_batches_go_on_where_they_stopped_however_a_step_is_divided() -> None:
    data = DataSet("", Lists(), Feed(Numbers()), bucket=10, length_column="text")
    turns = SetSchedule([1.0], 300, 0)

    def steps(wanted: range, **plan: int) -> list[list[int]]:
        made = training_batches([data], BatchPlan(8, seed=5, **plan), turns, wanted)
        return [[i for batch in step for i in batch.inputs["index"].tolist()] for step in made]

    whole = steps(range(300))
    assert steps(range(120, 140)) == whole[120:140]
    assert steps(range(120, 140), accumulate=4) == whole[120:140]
    halves = [steps(range(120, 140), rank=rank, world_size=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves)] == whole[120:140]


def test_lengths_of_cached_rows_are_those_of_their_cells(tmp_path: Path) -> None:
    values = [[1] * n for n in (3, 1, 4, 1, 5)]
    write_rows(tmp_path / "rows.arrow", [{"ids": values[:2]}, {"ids": values[2:]}])
    rows = ArrowRows(tmp_path / "rows.arrow")
    assert rows.lengths("ids").tolist() == [3, 1, 4, 1, 5] == Rows.lengths(rows, "ids").tolist()
