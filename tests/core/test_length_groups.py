"""Rows of similar length run through the layers together; the results are those of the whole batch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from tp_core.interfaces import Sequence
from tp_core.model import build_model
from tp_core.modules.layers import transformer_stack
from tp_core.modules.layers.length_groups import length_groups
from tp_core.testing.specs import minimal_spec

LENGTHS = [3, 40, 5, 9, 12, 33, 8, 1, 17, 24, 2, 6]


def sequence(lengths: list[int] | None = None, width: int = 40, left: bool = False) -> Sequence:
    own = LENGTHS if lengths is None else lengths
    mask = torch.arange(width) < torch.tensor(own)[:, None]
    torch.manual_seed(0)
    return Sequence(torch.randn(len(own), width, 16), mask.flip(1) if left else mask)


def test_groups_have_every_row_once_and_hold_its_length() -> None:
    found = length_groups(sequence())
    assert found is not None
    assert sorted(int(row) for index, _ in found for row in index) == list(range(len(LENGTHS)))
    for index, length in found:
        assert length % 8 == 0
        assert max(LENGTHS[row] for row in index) <= length


def test_lengths_of_groups_are_those_with_the_fewest_positions() -> None:
    found = length_groups(sequence())
    assert found is not None
    rounded = sorted(-(-length // 8) * 8 for length in LENGTHS)
    cuts = [(*chosen, 12) for count in range(4) for chosen in itertools.combinations(range(1, 12), count)]
    costs = [sum((end - start) * rounded[end - 1] for start, end in zip((0, *ends), ends)) for ends in cuts]
    assert sum(len(index) * length for index, length in found) == min(costs)


def test_groups_in_half_precision_have_few_shapes() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = length_groups(sequence())
    assert found is not None
    assert all(len(index) % 3 == 0 and length in (16, 32, 40) for index, length in found)


@pytest.mark.parametrize(
    "given",
    [
        sequence([40] * 12),  # no padding to save
        sequence(left=True),
        replace(sequence(), mask=None),
        replace(sequence(), published={"positions": torch.zeros(12, 1)}),
        sequence([3, 40, 5]),  # too few rows
    ],
)
def test_batches_that_gain_nothing_or_cannot_be_cut_stay_whole(given: Sequence) -> None:
    assert length_groups(given) is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask": "causal", "norm_position": "pre"},
        {"mixer": {"attention": {"num_heads": 2, "positions": "relative"}}},
        {"mixer": {"attention": {"num_heads": 2, "positions": "rotary"}}},
        {"mixer": {"fourier": {"padding": False}}},
        {"mixer": {"fourier": {"padding": True}}},
    ],
)
def test_states_and_gradients_are_those_of_the_whole_batch(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = {"num_layers": 2, "num_heads": 2, **options}
    if "mixer" in layers:
        del layers["num_heads"]
    tree = {"hidden_size": 16, "embedding": ["word"], "encoder": {"transformer": layers}, "target": ["mlm"]}
    encoder = build_model(minimal_spec(tree)).encoder.eval()
    given = sequence()
    mask = given.real()
    found = {}
    for grouped in (True, False):
        if not grouped:
            monkeypatch.setattr(transformer_stack, "length_groups", lambda _: None)
        encoder.zero_grad()
        states = encoder(given).states
        (states * mask.unsqueeze(-1)).square().sum().backward()
        found[grouped] = states[mask], [weight.grad for weight in encoder.parameters()]
    assert torch.allclose(found[True][0], found[False][0], atol=1e-5)
    for one, other in zip(found[True][1], found[False][1]):
        assert one is None or other is None or torch.allclose(one, other, rtol=1e-4, atol=1e-3)


def test_layers_that_read_padding_are_not_cut() -> None:
    tree = {
        "hidden_size": 16,
        "embedding": ["word"],
        "encoder": {"transformer": {"num_layers": 1, "mixer": {"fourier": {"padding": True}}}},
        "target": ["mlm"],
    }
    encoder: Any = build_model(minimal_spec(tree)).encoder
    assert encoder.layers[0].mixer.reads_padding
