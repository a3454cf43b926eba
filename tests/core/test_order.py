"""Random numbers by sample."""

from __future__ import annotations

import pickle

from tp_core.data.sampling.order import PREPARE, Generators, generator


def test_generators_that_are_used_again_draw_what_new_ones_draw() -> None:
    for draws in (Generators(7, PREPARE), pickle.loads(pickle.dumps(Generators(7, PREPARE)))):
        for epoch, index in [(0, 0), (3, 5), (0, 0), (1, 2**40)]:
            again, new = draws(epoch, index), generator(7, PREPARE, epoch, index)
            assert again.integers(0, 100, 3, dtype="int32").tolist() == new.integers(0, 100, 3, dtype="int32").tolist()
            assert again.random(5).tolist() == new.random(5).tolist()
            assert again.normal() == new.normal()
