"""Packing of the real positions of a batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tp_core.interfaces import Sequence
from tp_core.interfaces.packing import Packing


def packing(multiple: int = 1) -> Packing:
    """Two parts, of two rows of at most three positions, and of one row of two positions."""
    first = Sequence(torch.zeros(2, 3, 4), torch.tensor([[True, True, False], [True, True, True]]))
    return Packing([first, Sequence(torch.zeros(1, 2, 4))], multiple)


def states() -> list[Tensor]:
    return [torch.arange(24.0).view(2, 3, 4), torch.arange(24.0, 32.0).view(1, 2, 4)]


@pytest.mark.parametrize(("multiple", "count"), [(1, 7), (7, 7), (4, 8), (128, 128)])
def test_real_positions_are_packed_without_padding(multiple: int, count: int) -> None:
    first, second = states()
    packed = packing(multiple).pack([first, second])
    assert packed.shape == (1, count, 4)
    assert torch.equal(packed[0, :7], torch.cat([first[0, :2], first[1], second[0]]))
    assert not packed[0, 7:].any()


@pytest.mark.parametrize("multiple", [1, 8])
def test_unpacked_states_are_those_that_were_packed_with_zeros_at_padding(multiple: int) -> None:
    own = packing(multiple)
    first, second = own.unpack(own.pack(states()))
    expected, same = states()
    expected[0, 2] = 0
    assert torch.equal(first, expected)
    assert torch.equal(second, same)


def test_each_position_knows_its_row() -> None:
    own = packing(8)
    assert own.rows == 3
    assert own.row_of.tolist() == [0, 0, 1, 1, 1, 2, 2, 0]


@pytest.mark.parametrize("multiple", [1, 8])
def test_first_and_second_derivatives_are_those_of_differences(multiple: int) -> None:
    own = packing(multiple)
    torch.manual_seed(0)
    given = [torch.randn(part.shape, dtype=torch.float64, requires_grad=True) for part in states()]

    def both(*parts: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in own.unpack(own.pack(list(parts)).sin())])

    assert torch.autograd.gradcheck(both, given)
    assert torch.autograd.gradgradcheck(both, given)
