"""Layers on a CPU compute no padding; the results are those of the whole batch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from tp_core.interfaces import Sequence
from tp_core.model import build_model
from tp_core.modules.layers import transformer_stack
from tp_core.modules.layers.length_groups import length_groups, packing_of, put_together
from tp_core.modules.layers.transformer_layer import Residual
from tp_core.modules.layers.transformer_options import LayerOptions
from tp_core.testing.specs import minimal_spec

LENGTHS = [3, 40, 5, 9, 12, 33, 8, 1, 17, 24, 2, 6]


def sequence(lengths: list[int] | None = None, width: int = 40, left: bool = False, size: int = 16) -> Sequence:
    own = LENGTHS if lengths is None else lengths
    mask = torch.arange(width) < torch.tensor(own)[:, None]
    torch.manual_seed(0)
    return Sequence(torch.randn(len(own), width, size), mask.flip(1) if left else mask)


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
        sequence([39] * 12),
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
        {"mixer": {"attention": {"num_heads": 2, "positions": "alibi", "mask": "causal"}}},
        {"mixer": {"attention": {"num_heads": 2, "residual": True, "query_key_norm": "rmsnorm"}}},
        {"mixer": {"fourier": {"padding": False}}},
        {"mixer": {"fourier": {"padding": True}}},
        {"parallel": True, "norm_position": "pre", "share_layers": True},
        {"norm_position": "both", "layer_scale": 0.1},
    ],
)
@pytest.mark.parametrize(("read", "size"), [(False, 16), (True, 16), (False, 8), (True, 8)])
def test_states_and_gradients_are_those_of_the_whole_batch(
    options: dict[str, Any], read: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = {"num_layers": 3, "num_heads": 2, "dropout": 0.0, **options}
    if "mixer" in layers:
        del layers["num_heads"]
    tree = {
        "hidden_size": 16,
        "embedding_size": size,
        "embedding": ["word"],
        "encoder": {"transformer": layers},
        "target": ["mlm"],
    }
    encoder = build_model(minimal_spec(tree)).encoder.train().double()
    given = sequence(size=size)
    given = given.with_states(given.states.double())
    last = given.real().sum(dim=1, keepdim=True) - 1
    needed = replace(given, read_positions=torch.cat([last // 2, last], dim=1)) if read else given
    mask = torch.zeros_like(given.real()).scatter(1, needed.read_positions, True) if read else given.real()
    found = []
    for grouped, checkpointed in ((False, False), (True, False), (True, True)):
        encoder.checkpoint_activations = checkpointed
        with monkeypatch.context() as patch:
            if not grouped:
                patch.setattr(transformer_stack, "length_groups", lambda _: None)
            encoder.zero_grad()
            states = encoder(needed if grouped else given).states
        (states[mask] * torch.arange(16)).sin().sum().backward()
        found.append((states[mask], [weight.grad for weight in encoder.parameters()]))
    (expected, gradients), *others = found
    for states, own in others:
        assert torch.allclose(states, expected, atol=1e-6)
        for one, other in zip(own, gradients):
            assert one is other is None or torch.allclose(one, other, rtol=1e-5, atol=1e-4)


def test_states_and_gradients_in_half_precision_are_near_those_of_single_precision() -> None:
    layers = {"num_layers": 2, "num_heads": 2}
    tree = {"hidden_size": 16, "embedding": ["word"], "encoder": {"transformer": layers}, "target": ["mlm"]}
    encoder = build_model(minimal_spec(tree)).encoder.eval()
    given = sequence()
    mask = given.real()
    found = []
    for half in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            states = encoder(given).states
        (states[mask].float() * torch.arange(16)).sum().backward()
        found.append((states[mask].float(), [weight.grad for weight in encoder.parameters()]))
    (expected, gradients), (states, own) = found
    assert (states - expected).norm() < 0.02 * expected.norm()
    for one, other in zip(own, gradients):
        assert (one - other).norm() < 0.05 * max(1.0, other.norm())


def test_drop_path_drops_whole_rows_of_a_packed_batch() -> None:
    given = sequence()
    groups = length_groups(given)
    assert groups is not None
    packing = packing_of(given, groups)
    residual = Residual(LayerOptions(drop_path=0.4, dropout=0.0, norm_position="pre"), 16).train()
    update = packing.pack([torch.ones_like(part.states) for part in packing.parts])
    added = residual.add(torch.zeros_like(update), update, packing)[0]
    values = put_together(packing.unpack(added.unsqueeze(0)), groups, 40)
    kept = values[:, 0, 0]
    assert sorted(set(kept.tolist())) == pytest.approx([0, 1 / 0.6])
    assert torch.equal(values, kept[:, None, None] * given.real().unsqueeze(-1).expand(-1, -1, 16))


def test_layers_that_read_padding_are_not_cut() -> None:
    tree = {
        "hidden_size": 16,
        "embedding": ["word"],
        "encoder": {"transformer": {"num_layers": 1, "mixer": {"fourier": {"padding": True}}}},
        "target": ["mlm"],
    }
    encoder: Any = build_model(minimal_spec(tree)).encoder
    assert encoder.layers[0].mixer.reads_padding
