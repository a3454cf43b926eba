"""A batch size that changes within a run: no sample is left out or comes twice, and the schedule goes on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.core.test_bucketing import LENGTHS, Lists, Numbers
from tp_core.data.routing import Feed
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.data.sampling.loader import BatchPlan, training_batches
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.course import Course
from tp_core.training.schedules.options import CosineConfig, LinearConfig

SIZE = len(LENGTHS)


def philox_permutation(seed: int, epoch: int, size: int) -> list[int]:
    """The order of an epoch as docs/training.md says it: a permutation of (seed, epoch)."""
    bits = np.random.Philox(key=[seed, 0], counter=[0, 0, size, epoch])
    return [int(index) for index in np.random.Generator(bits).permutation(size)]


def drawn(sizes: BatchSizes, steps: range, sets: int = 1, bucket: int | None = None, **plan: Any) -> list[list[int]]:
    """The indices of each step's samples; those of the second set are negative."""
    data = [DataSet(str(n), Lists(), Feed(Numbers()), 1.0, bucket, "text" if bucket else None) for n in range(sets)]
    turns = SetSchedule([1.0] * sets, steps.stop, 5)
    whole = BatchPlan(sizes.last, seed=5, sizes=sizes, **plan)
    found = []
    for number, batches in zip(steps, training_batches(data, whole, turns, steps)):
        sign = -1 if turns.at(number)[0] else 1
        found.append([sign * index for batch in batches for index in batch.inputs["index"].tolist()])
    return found


def run_in_parts(parts: list[tuple[int, int]], last: int, **options: Any) -> list[list[int]]:
    """Steps of a run that is stopped, and goes on with another batch size, as the trainer does it."""
    found: list[list[int]] = []
    sizes = BatchSizes.constant(parts[0][1])
    for (step, size), end in zip(parts, [*(step for step, _ in parts[1:]), last]):
        sizes = sizes.changed(step, size)
        found += drawn(sizes, range(step, end), **options)
    return found


PARTS = [(0, 8), (30, 20), (77, 3), (200, 16)]


def test_samples_go_on_where_they_were_in_the_plain_order_of_the_epochs() -> None:
    found = [index for step in run_in_parts(PARTS, 300) for index in step]
    expected = [index for epoch in range(4) for index in philox_permutation(5, epoch, SIZE)]
    assert len(found) == 30 * 8 + 47 * 20 + 123 * 3 + 100 * 16
    assert found == expected[: len(found)]


def test_with_buckets_each_epoch_has_each_instance_once_and_steps_of_like_length_come_back() -> None:
    steps = run_in_parts(PARTS, 300, bucket=10)
    found = [index for step in steps for index in step]
    for start in range(0, len(found) - SIZE, SIZE):
        assert sorted(found[start : start + SIZE]) == list(range(SIZE))
    spread = [np.ptp(LENGTHS[step]) for step in steps]
    assert np.mean(spread[:30]) < 30  # by the first size
    assert np.mean(spread[240:300]) < 30  # by the last, which an epoch has begun with since


def test_with_buckets_a_run_that_is_stopped_again_has_the_same_order() -> None:
    sizes = BatchSizes([(0, 8), (30, 20)])
    whole = drawn(sizes, range(30, 160), bucket=10)
    assert drawn(sizes, range(130, 160), bucket=10) == whole[100:]


def test_each_of_several_sets_goes_through_its_own_rows() -> None:
    found = [index for step in run_in_parts(PARTS, 500, sets=2) for index in step]
    for own in ([i for i in found if i > 0], [-i for i in found if i < 0]):  # 0 is in both
        assert len(own) > SIZE
        for start in range(0, len(own) - SIZE, SIZE - 1):
            assert sorted(own[start : start + SIZE - 1]) == list(range(1, SIZE))


def test_processes_and_micro_batches_divide_the_new_size() -> None:
    sizes = BatchSizes([(0, 8), (30, 24)])
    whole = drawn(sizes, range(30, 50))
    assert drawn(sizes, range(30, 50), accumulate=3) == whole
    halves = [drawn(sizes, range(30, 50), rank=rank, world_size=2, accumulate=3) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves)] == whole


def test_a_change_of_a_change_at_one_step_leaves_the_last() -> None:
    sizes = BatchSizes.constant(8).changed(10, 4).changed(10, 16)
    assert sizes.changes == [(0, 8), (10, 16)]
    assert sizes.changed(10, 8).changes == [(0, 8)]
    assert sizes.changed(0, 2).changes == [(0, 2)]


# -- length and schedule --------------------------------------------------------------------------------------------


def course(sizes: BatchSizes, schedule: Any, **options: Any) -> Course:
    return Course(TrainOptions(**options), schedule, 1000, sizes)


def test_epochs_end_when_all_samples_are_seen() -> None:
    changed = course(BatchSizes([(0, 8), (100, 32)]), LinearConfig(), epochs=3)
    assert changed.total_steps == 100 + math.ceil((3000 - 800) / 32)
    assert changed.samples(100) == 800
    assert changed.samples(150) == 800 + 50 * 32
    assert changed.epoch(150) == 2.4


@pytest.mark.parametrize("schedule", [LinearConfig(warmup=0.1), LinearConfig(warmup=50), CosineConfig(warmup=0.25)])
def test_with_epochs_the_learning_rate_is_that_of_the_samples_seen(schedule: Any) -> None:
    """The factor at a sample is what a run of one batch size has there."""
    plain = course(BatchSizes.constant(8), schedule, epochs=4)
    changed = course(BatchSizes([(0, 8), (100, 32), (130, 4)]), schedule, epochs=4)
    for step in range(changed.total_steps):
        samples = changed.samples(step)
        below, above = plain.lr_factor(samples // 8), plain.lr_factor(-(-samples // 8))
        assert min(below, above) - 1e-12 <= changed.lr_factor(step) <= max(below, above) + 1e-12
    if schedule.warmup == 50:
        assert changed.lr_factor(25) == 0.5


def test_with_steps_the_learning_rate_is_that_of_the_step() -> None:
    plain = course(BatchSizes.constant(8), LinearConfig(warmup=0.1), steps=200)
    changed = course(BatchSizes([(0, 8), (100, 32)]), LinearConfig(warmup=0.1), steps=200)
    assert changed.total_steps == 200
    assert [changed.lr_factor(step) for step in range(200)] == [plain.lr_factor(step) for step in range(200)]


def test_a_run_of_one_size_has_the_plain_schedule_bit_for_bit() -> None:
    by_epochs = course(BatchSizes.constant(8), CosineConfig(warmup=0.07), epochs=2.5)
    by_steps = course(BatchSizes.constant(8), CosineConfig(warmup=0.07), steps=math.ceil(2500 / 8))
    factors = [[each.lr_factor(step) for step in range(each.total_steps)] for each in (by_epochs, by_steps)]
    assert factors[0] == factors[1]
