"""The order of data and all its randomness, as pure functions of (seed, epoch, sample)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

#: Which use a generator is for; two uses never share a stream of numbers.
ORDER, TRAIN, EVALUATION, PREPARE = range(4)


def generator(seed: int, use: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator of one sample."""
    return np.random.Generator(np.random.Philox(key=[seed, use], counter=[0, 0, index, epoch]))


@functools.lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    """The order of an epoch: sample number → index of the instance."""
    order = generator(seed, ORDER, epoch, size).permutation(size)
    order.setflags(write=False)
    return order


def locate(seed: int, sample: int, size: int) -> tuple[int, int]:
    """(epoch, instance index) of the sample with the given number, counted from the start of training."""
    epoch, number = divmod(sample, size)
    return epoch, int(permutation(seed, epoch, size)[number])
