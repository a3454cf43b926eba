"""A sample's features do not depend on padding, on batch-mates, or on whether it is decoded step by step."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import attention, batch_of, encoder_model, mask_of, positions_of, tokens, worst
from tp_core import Model
from tp_core.interfaces import KVCache

TOLERANCE = 1e-5
LENGTHS = [10, 6, 1, 7]
MASKS = ["fully_visible", "causal", "causal_with_prefix"]
IN_ATTENTION = ["none", "rotary", "relative", "alibi"]
ABSOLUTE = [{"pos": {"max_length": 16, "offset": 1}}, "sinusoidal"]


@torch.no_grad()
def states(model: Model, kv_cache: KVCache | None = None, **source: Tensor | None) -> Tensor:
    return model.encode(batch_of(None, **source), kv_cache).sequence.states


def check_padding(model: Model, left: bool, prefix: bool = False, positions: bool = False) -> None:
    """Every sample alone and unpadded, against batches in which it is padded, in two orders and widths."""
    width = 12
    samples = [tokens(length, seed=length) for length in LENGTHS]
    prefixes = torch.tensor([min(3, length) for length in LENGTHS])
    for order in ([0, 1, 2, 3], [2, 3, 1]):
        mask = mask_of([LENGTHS[i] for i in order], width, left)
        ids = tokens(len(order), width, seed=99)  # padding is no zero
        for row, i in enumerate(order):
            ids[row, mask[row].bool()] = samples[i]
        lead = prefixes[order] + ((width - mask.sum(1)) if left else 0)
        together = states(
            model,
            input_ids=ids,
            attention_mask=mask,
            prefix_lengths=lead if prefix else None,
            position_ids=positions_of(mask) if positions else None,
        )
        for row, i in enumerate(order):
            alone = states(model, input_ids=samples[i][None], prefix_lengths=prefixes[i : i + 1] if prefix else None)
            gap = worst(together[row][mask[row].bool()], alone[0])
            assert gap < TOLERANCE, f"sample {i} in {order} differs by {gap}"
        assert together.isfinite().all()


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(("mask", "positions", "residual"), itertools.product(MASKS, IN_ATTENTION, [False, True]))
def test_padding_and_batch_mates_change_nothing(
    tmp_path: Path, mask: str, positions: str, residual: bool, left: bool
) -> None:
    options = {"mask": mask, "num_layers": 3, **attention(positions=positions, residual=residual)}
    check_padding(encoder_model(tmp_path, options), left, prefix=mask == "causal_with_prefix")


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("embedding", ABSOLUTE, ids=["pos", "sinusoidal"])
@pytest.mark.parametrize("mask", MASKS)
def test_padding_and_batch_mates_change_nothing_with_absolute_positions(
    tmp_path: Path, mask: str, embedding: Any, left: bool
) -> None:
    model = encoder_model(tmp_path, {"mask": mask}, embedding=[embedding])
    check_padding(model, left, prefix=mask == "causal_with_prefix", positions=left)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("residual", [False, True])
def test_a_sample_without_any_real_position_harms_no_other(tmp_path: Path, mask: str, residual: bool) -> None:
    model = encoder_model(tmp_path, {"mask": mask, **attention(residual=residual)})
    for length in (1, 5):
        ids, real = tokens(2, length), mask_of([length, 0], length)
        together = states(model, input_ids=ids, attention_mask=real)
        assert together.isfinite().all()
        assert worst(together[0], states(model, input_ids=ids[:1])[0]) < TOLERANCE


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize(("documents", "cached"), [(False, False), (True, False), (False, True)])
def test_no_query_is_left_without_a_key(kind: str, length: int, documents: bool, cached: bool) -> None:
    from tp_core.interfaces import Sequence
    from tp_core.modules.layers.mask import visible

    sequence = Sequence(
        torch.zeros(3, length, 2),
        mask=mask_of([length, 1, 0], length, left=True).bool(),
        prefix_lengths=torch.tensor([1, 0, 0]),
        document_ids=torch.arange(length).expand(3, -1) // 2 if documents else None,
    )
    kv_cache = KVCache() if cached else None
    for _ in range(2 if cached else 1):
        if kv_cache is not None:
            kv_cache.extend(sequence)
        allowed = visible(sequence, kind, kv_cache)
        assert allowed is not None
        assert bool(allowed.any(dim=-1).all())


def test_a_cache_that_is_not_asked_for_changes_nothing(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"mask": "causal", **attention(positions="rotary")})
    ids = tokens(2, 6)
    assert worst(states(model, KVCache(), input_ids=ids), states(model, input_ids=ids)) < TOLERANCE


@pytest.mark.parametrize("positions", IN_ATTENTION)
def test_causal_states_do_not_depend_on_later_tokens(tmp_path: Path, positions: str) -> None:
    model = encoder_model(tmp_path, {"mask": "causal", "num_layers": 3, **attention(positions=positions)})
    ids = tokens(2, 9)
    changed = ids.clone()
    changed[:, 5:] = tokens(2, 4, seed=7)
    before, after = states(model, input_ids=ids), states(model, input_ids=changed)
    assert worst(before[:, :5], after[:, :5]) < TOLERANCE
    assert worst(before[:, 5:], after[:, 5:]) > 0.01


def test_stochastic_depth_keeps_the_expectation(tmp_path: Path) -> None:
    from tp_core.modules.layers.transformer_layer import TransformerLayer

    model = encoder_model(tmp_path, {"drop_path": 0.3})
    layer: Any = model.encoder.layers[0]  # type: ignore[index]
    assert isinstance(layer, TransformerLayer)
    layer.mixer_residual.after = torch.nn.Identity()
    update = torch.ones(20_000, 2, 3)
    assert torch.equal(layer.mixer_residual.add(torch.zeros(()), update), update)
    layer.train()
    torch.manual_seed(0)
    dropped = layer.mixer_residual.add(torch.zeros(()), update)
    assert {round(v, 4) for v in set(dropped.flatten().tolist())} == {0.0, round(1 / 0.7, 4)}
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert bool((dropped == dropped[:, :1, :1]).all())  # a sample is dropped as a whole


def test_stochastic_depth_of_almost_one_leaves_the_residual_path(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"drop_path": 0.999999, "norm_position": "pre", "final_norm": False})
    ids = tokens(2, 4)
    embedded = model.embedding({"input_ids": ids}).states
    torch.manual_seed(0)
    model.train()
    assert torch.equal(model.encode(batch_of(input_ids=ids)).sequence.states, embedded)
