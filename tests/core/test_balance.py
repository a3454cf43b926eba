"""``data.balance``: epochs whose classes have other shares than the data, as a pure function of (seed, step)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tp_core.data.routing import Feed
from tp_core.data.sampling.balance import BalancedDraws, quotas
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.data.sampling.loader import BatchPlan, training_batches
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.data.sampling.order import Order
from tp_core.interfaces import Batch, Processor, Rows

COUNTS = [700, 200, 97, 3]
CLASSES = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
SIZE = len(CLASSES)
LENGTHS = np.random.default_rng(1).integers(1, 200, SIZE)


class Labelled(Rows):
    def __len__(self) -> int:
        return SIZE

    def get(self, column: str, index: int) -> Any:
        return int(CLASSES[index]) if column == "label" else np.zeros(LENGTHS[index], np.int32)


class Drawn(Processor):
    """Samples are their own numbers and a random number."""

    def prepare(self, records: Any, report: Any) -> Any:
        raise NotImplementedError

    def sample(self, rows: Rows, index: int, generator: Any) -> Any:
        return {"index": index, "random": int(generator.integers(2**40))}

    def encode(self, records: Any) -> Any:
        raise NotImplementedError

    def collate(self, samples: Any) -> Batch:
        pairs = torch.tensor([[sample["index"], sample["random"]] for sample in samples])
        return Batch.of({"drawn": pairs}, len(samples))


def order(balance: float = 1.0, seed: int = 5, bucket: int = 0) -> Order:
    return Order(seed, SIZE, 8, bucket, LENGTHS, BalancedDraws(seed, CLASSES, balance))


def epoch(found: Order, number: int) -> list[tuple[int, int]]:
    """(pass, index) of the samples of an epoch."""
    return [found.locate(sample) for sample in range(number * SIZE, (number + 1) * SIZE)]


def frequencies(drawn: list[tuple[int, int]]) -> list[int]:
    return np.bincount(CLASSES[[index for _, index in drawn]], minlength=4).tolist()


@pytest.mark.parametrize("bucket", [0, 10])
@pytest.mark.parametrize("number", [0, 1, 7])
def test_all_classes_are_equally_frequent_in_each_epoch(number: int, bucket: int) -> None:
    drawn = epoch(order(bucket=bucket), number)
    assert len(drawn) == SIZE
    assert frequencies(drawn) == [250] * 4


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_shares_are_powers_of_those_of_the_data(balance: float) -> None:
    found = np.array(frequencies(epoch(order(balance), 2)))
    expected = np.array(COUNTS, dtype=float) ** (1 - balance)
    assert np.abs(found - expected / expected.sum() * SIZE).max() < 1
    assert balance or found.tolist() == COUNTS


def test_without_balance_an_epoch_has_each_instance_once() -> None:
    assert sorted(index for _, index in epoch(order(0.0), 3)) == list(range(SIZE))


@pytest.mark.parametrize("counts", [[1, 1000], [7], [5, 5, 5], [1] * 20 + [3], [10**6, 3, 10**3]])
@pytest.mark.parametrize("balance", [0.0, 0.37, 1.0])
def test_an_epoch_keeps_its_number_of_samples_and_leaves_out_no_class(counts: list[int], balance: float) -> None:
    found = quotas(np.array(counts), balance)
    assert found.sum() == sum(counts)
    assert found.min() >= 1


def test_instances_of_a_class_are_drawn_equally_often_over_epochs() -> None:
    found = order()
    drawn = [index for number in range(8) for _, index in epoch(found, number)]
    times = Counter(drawn)
    assert len(times) == SIZE  # also the class of which an epoch draws only 250 of 700
    for number in range(4):
        own = [times[index] for index in np.flatnonzero(number == CLASSES).tolist()]
        assert max(own) - min(own) <= 1


def test_an_instance_that_is_drawn_again_gets_new_random_numbers() -> None:
    found = order()
    drawn = [each for number in range(3) for each in epoch(found, number)]
    assert len(set(drawn)) == len(drawn)
    passes: dict[int, list[int]] = {}
    for turn, index in drawn:
        passes.setdefault(index, []).append(turn)
    assert all(sorted(turns) == list(range(len(turns))) for turns in passes.values())


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    first = epoch(order(), 0)
    assert [index for _, index in first] != [index for _, index in epoch(order(), 1)]
    assert [index for _, index in first] != [index for _, index in epoch(order(seed=6), 0)]
    assert sorted(first) != [*first]  # the classes are mixed


@pytest.mark.parametrize("bucket", [0, 10])
def test_the_order_does_not_depend_on_what_was_asked_before(bucket: int) -> None:
    one, other = order(bucket=bucket), order(bucket=bucket)
    numbers = np.random.default_rng(1).permutation(3000)
    asked = {int(number): one.locate(int(number)) for number in numbers}
    assert all(other.locate(number) == place for number, place in sorted(asked.items()))


def test_an_order_by_length_keeps_the_balance_and_has_little_padding() -> None:
    def padding(found: Order) -> float:
        indices = [index for _, index in epoch(found, 0)]
        steps: list[NDArray[np.int64]] = [LENGTHS[indices[i : i + 8]] for i in range(0, SIZE - 8, 8)]
        return 1 - sum(step.sum() for step in steps) / sum(step.max() * len(step) for step in steps)

    assert padding(order()) > 0.3
    assert padding(order(bucket=10)) < 0.1


@pytest.mark.parametrize("bucket", [None, 10])
def test_batches_go_on_where_they_stopped_however_a_step_is_divided(bucket: int | None) -> None:
    data = DataSet("", Labelled(), Feed(Drawn()), 1.0, bucket, "text", balance=1.0, class_column="label")
    turns = SetSchedule([1.0], 300, 0)

    def steps(wanted: range, **plan: int) -> list[list[list[int]]]:
        made = training_batches([data], BatchPlan(8, seed=5, **plan), turns, wanted)
        return [[pair for batch in step for pair in batch.inputs["drawn"].tolist()] for step in made]

    whole = steps(range(300))
    assert steps(range(120, 140)) == whole[120:140]
    assert steps(range(120, 140), accumulate=4) == whole[120:140]
    halves = [steps(range(120, 140), rank=rank, world_size=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves)] == whole[120:140]
    drawn = [tuple(pair) for step in whole for pair in step]
    assert len(set(drawn)) == len(drawn)
    assert np.bincount(CLASSES[[index for index, _ in drawn[:SIZE]]]).tolist() == [250] * 4


def test_a_set_without_balance_keeps_its_order() -> None:
    sizes = BatchSizes.constant(8)
    plain = DataSet("", Labelled(), Feed(Drawn()), class_column="label").order(5, sizes)
    assert epoch(plain, 1) == epoch(Order(5, SIZE), 1)
