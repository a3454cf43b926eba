"""With a window, a position sees itself and the positions just before it, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.building import batch_of, encoder_model, mask_of, tokens, worst
from tp_core import Model, SpecError
from tp_core.interfaces import Cache

TOLERANCE = 1e-5


def windowed(folder: Path, window: int | None, **options: object) -> Model:
    return encoder_model(folder, {"mask": "causal", "attention_window": window, "num_layers": 1, **options})


@torch.no_grad()
def states(model: Model, ids: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
    return model.encode(batch_of(None, input_ids=ids, attention_mask=mask), cache).sequence.states


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_position_depends_on_those_of_its_window_alone(tmp_path: Path, window: int) -> None:
    model, length = windowed(tmp_path, window), 9
    ids = tokens(1, length)
    before = states(model, ids)
    for place in range(length):
        changed = ids.clone()
        changed[0, place] = ids[0, place] % 40 + 1
        moved = (states(model, changed) - before).abs().amax(dim=-1)[0] > 1e-6
        assert moved.nonzero().flatten().tolist() == list(range(place, min(place + window, length)))


def test_a_window_as_long_as_the_text_changes_nothing(tmp_path: Path) -> None:
    ids = tokens(2, 7)
    for mask in (None, mask_of([7, 3], 7)):
        assert worst(states(windowed(tmp_path, 7), ids, mask), states(windowed(tmp_path, None), ids, mask)) == 0


@pytest.mark.parametrize("position_encoding", ["none", "rotary", "relative", "alibi"])
@pytest.mark.parametrize("lengths", [None, [8, 5]], ids=["whole", "padded"])
def test_step_by_step_is_the_same_as_at_once(tmp_path: Path, position_encoding: str, lengths: list[int] | None) -> None:
    options = {"position_encoding": position_encoding, "relative_buckets": 8, "relative_max_distance": 6}
    model = windowed(tmp_path, 3, **{**options, "num_layers": 2})
    ids = tokens(2, 8)
    mask = None if lengths is None else mask_of(lengths, 8)
    cache = Cache()
    steps = [states(model, ids[:, n : n + 1], None if mask is None else mask[:, n : n + 1], cache) for n in range(8)]
    assert worst(torch.cat(steps, dim=1), states(model, ids, mask), mask) < TOLERANCE


def test_a_window_needs_causality(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="needs mask: causal, and mask is fully_visible"):
        windowed(tmp_path, 3, mask="fully_visible")
