"""With a window, a position sees itself and the positions near it on the sides that it sees, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.building import attention, batch_of, encoder_model, mask_of, tokens, worst
from tp_core import Model, SpecError
from tp_core.interfaces import KVCache
from tp_core.modules.layers.mask import combine

TOLERANCE = 1e-5


def windowed(
    folder: Path, window: int | None, mask: str = "causal", num_layers: int = 1, positions: str = "none"
) -> Model:
    parts = attention(window=window, positions=positions)
    return encoder_model(folder, {"mask": mask, "num_layers": num_layers, **parts})


@torch.no_grad()
def states(model: Model, ids: Tensor, mask: Tensor | None = None, kv_cache: KVCache | None = None) -> Tensor:
    return model.encode(batch_of(None, input_ids=ids, attention_mask=mask), kv_cache).sequence.states


@pytest.mark.parametrize("mask", ["causal", "fully_visible"])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_position_depends_on_those_of_its_window_alone(tmp_path: Path, window: int, mask: str) -> None:
    model, length = windowed(tmp_path, window, mask), 9
    ids = tokens(1, length)
    before = states(model, ids)
    for place in range(length):
        changed = ids.clone()
        changed[0, place] = ids[0, place] % 40 + 1
        moved = (states(model, changed) - before).abs().amax(dim=-1)[0] > 1e-6
        first = place if mask == "causal" else max(place - window + 1, 0)
        assert moved.nonzero().flatten().tolist() == list(range(first, min(place + window, length)))


@pytest.mark.parametrize("kind", ["causal", "fully_visible"])
def test_a_window_as_long_as_the_text_changes_nothing(tmp_path: Path, kind: str) -> None:
    ids = tokens(2, 7)
    for mask in (None, mask_of([7, 3], 7)):
        found, wanted = (states(windowed(tmp_path, window, kind), ids, mask) for window in (7, None))
        assert worst(found, wanted) == 0


@pytest.mark.parametrize("left", [False, True])
def test_a_two_way_window_hides_padding(tmp_path: Path, left: bool) -> None:
    model, lengths = windowed(tmp_path, 3, "fully_visible", num_layers=2), [8, 5, 1]
    ids, mask = tokens(3, 8), mask_of(lengths, 8, left)
    together = states(model, ids, mask)
    for row, real in enumerate(mask.bool()):
        assert worst(together[row][real], states(model, ids[row][real][None])[0]) < TOLERANCE


@pytest.mark.parametrize("positions", ["none", "rotary", "relative", "alibi"])
@pytest.mark.parametrize("lengths", [None, [8, 5]], ids=["whole", "padded"])
def test_step_by_step_is_the_same_as_at_once(tmp_path: Path, positions: str, lengths: list[int] | None) -> None:
    model = windowed(tmp_path, 3, num_layers=2, positions=positions)
    ids = tokens(2, 8)
    mask = None if lengths is None else mask_of(lengths, 8)
    kv_cache = KVCache()
    steps = [states(model, ids[:, n : n + 1], None if mask is None else mask[:, n : n + 1], kv_cache) for n in range(8)]
    assert worst(torch.cat(steps, dim=1), states(model, ids, mask), mask) < TOLERANCE


def test_a_window_has_no_place_for_a_prefix(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="window: is for the masks causal and fully_visible, but mask is causal_with"):
        windowed(tmp_path, 3, mask="causal_with_prefix")


def test_biases_of_all_layers_and_of_one_are_both_added() -> None:
    allowed = torch.tensor([[True, False], [True, True]])
    one, other = torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(0))
    mask = combine(combine(allowed, one, torch.float32), other, torch.float32)
    assert mask is not None
    torch.testing.assert_close(mask[allowed], (one + other)[allowed])
    assert mask[0, 1] < -1e38
    assert mask.isfinite().all()
