"""The order of data and all random numbers for data, as pure functions of (seed, epoch, sample)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.sampling.batch_sizes import BatchSizes

#: Uses of a generator; two uses never share a stream of random numbers.
ORDER, TRAIN, EVALUATION, PREPARE, TURN, BUCKET, BALANCE, FOLD = range(8)


def generator(seed: int, use: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator of one sample."""
    return np.random.Generator(np.random.Philox(key=[seed, use], counter=[0, 0, index, epoch]))


class Generators:
    """The same generators as :func:`generator` makes, for one seed and use, but several times faster.

    Each call returns the same object, set to the start of the requested sample's random numbers.
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


#: The draws of an epoch: indices of instances, and the numbers of their passes, each (instances,).
Draws = Callable[[int], tuple[NDArray[np.int64], NDArray[np.int64]]]


class Order:
    """The order of a data set's instances: sample number (counted from the start of training) → instance.

    Each epoch contains each instance once, or the instances that ``draws`` returns. With an order by length, the
    samples of ``bucket`` consecutive batches are sorted, so that a batch has instances of similar length; these batches
    are then shuffled. If the batch size changes within an epoch, the epoch keeps its order.

    Args:
        size: number of instances, and of samples per epoch.
        batch_size: samples per step.
        bucket: number of batches whose samples are sorted together; 0 to not sort by length.
        lengths: length of each instance.
        draws: the draws of an epoch, before they are shuffled; None for each instance once.
    """

    def __init__(
        self,
        seed: int,
        size: int,
        batch_size: int | BatchSizes = 1,
        bucket: int = 0,
        lengths: NDArray[np.int64] | None = None,
        draws: Draws | None = None,
    ) -> None:
        self.seed, self.size, self.bucket, self.lengths, self.draws = seed, size, bucket, lengths, draws
        self.batch_sizes = BatchSizes.constant(batch_size) if isinstance(batch_size, int) else batch_size
        self._epochs: dict[int, tuple[NDArray[np.int64], NDArray[np.int64] | None]] = {}

    def locate(self, sample: int) -> tuple[int, int]:
        """(pass, instance index) of the sample with the given number.

        The pass is the number of earlier samples of the same instance, for its random numbers. Without ``draws``, it is
        the epoch.
        """
        epoch, number = divmod(sample, self.size)
        if epoch not in self._epochs:
            if len(self._epochs) > 1:  # a batch needs at most two epochs
                del self._epochs[min(self._epochs)]
            self._epochs[epoch] = self._ordered(epoch)
        indices, passes = self._epochs[epoch]
        return epoch if passes is None else int(passes[number]), int(indices[number])

    def _ordered(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The indices and passes of an epoch in order."""
        order = permutation(self.seed, epoch, self.size)
        indices, passes = (None, None) if self.draws is None else self.draws(epoch)
        if self.lengths is not None and self.bucket:
            order = self._by_length(epoch, order, self.lengths if indices is None else self.lengths[indices])
        return (order, None) if indices is None or passes is None else (indices[order], passes[order])

    def _by_length(self, epoch: int, shuffled: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        order: NDArray[np.int64] = shuffled.copy()
        turns = generator(self.seed, BUCKET, epoch, self.size)
        # The epoch may begin inside a step, so steps are counted from the first step of this batch size.
        batch_size, first = self.batch_sizes.at_sample(epoch * self.size)
        begin = (first - epoch * self.size) % batch_size
        chunk = self.bucket * batch_size
        for start in [0] * (begin > 0) + list(range(begin, self.size, chunk)):
            end = begin if start < begin else min(start + chunk, self.size)
            own = order[start:end]
            own = own[np.argsort(lengths[own], kind="stable")]
            whole = len(own) // batch_size
            steps = own[: whole * batch_size].reshape(whole, batch_size)
            order[start:end] = np.concatenate([steps[turns.permutation(whole)].ravel(), own[steps.size :]])
        return order
