"""The order of data and all its randomness, as pure functions of (seed, epoch, sample)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Which use a generator is for; two uses never share a stream of numbers.
ORDER, TRAIN, EVALUATION, PREPARE, TURN = range(5)


def generator(seed: int, use: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator of one sample."""
    return np.random.Generator(np.random.Philox(key=[seed, use], counter=[0, 0, index, epoch]))


class Generators:
    """The generators that :func:`generator` makes, for one seed and use, several times faster.

    Each call gives back the same object, set to the start of another sample's numbers.
    """

    def __init__(self, seed: int, use: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(key=[seed, use]))
        self._start: Any = self._generator.bit_generator.state

    def __call__(self, epoch: int, index: int) -> np.random.Generator:
        self._start["state"]["counter"][:] = 0, 0, index, epoch
        self._generator.bit_generator.state = self._start
        return self._generator


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
