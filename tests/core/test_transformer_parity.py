"""The transformer encoder computes what the papers' formulas say, in float64 (``reference``), to 1e-5."""

from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.building import POSITIONS, attention, batch_of, build, encoder_model, mask_of, tokens, worst
from tests.core import reference
from tests.picks import picks, transformers
from tp_core import Model, SpecError
from tp_core.modules.encoders.transformer_options import TransformerConfig

TOLERANCE = 1e-5
LENGTHS = [9, 5, 1]
MASKS = ["fully_visible", "causal", "causal_with_prefix"]


def expected(model: Model, ids: Any, **extra: Any) -> Any:
    """The reference's states of one sample."""
    weights = {n.removeprefix("encoder."): w.double() for n, w in model.weights().items()}
    config = model.spec.model.streams[""].encoder.config
    assert isinstance(config, TransformerConfig)
    with torch.no_grad():
        embedded = model.embedding({"input_ids": ids[None]}).states[0]
    return reference.encode(weights, config, embedded.double(), **extra)


def check(model: Model, prefixes: list[int] | None = None) -> float:
    """A padded batch against the reference, sample by sample."""
    mask = mask_of(LENGTHS, max(LENGTHS))
    ids = tokens(*mask.shape)
    given = None if prefixes is None else torch.tensor(prefixes)
    with torch.no_grad():
        states = model.encode(batch_of(input_ids=ids, attention_mask=mask, prefix_lengths=given)).sequence.states
        unpadded = model.encode(batch_of(input_ids=ids[:1], prefix_lengths=None if given is None else given[:1]))
    gaps = []
    for row, length in enumerate(LENGTHS):
        wanted = expected(model, ids[row, :length], prefix=0 if prefixes is None else prefixes[row])
        gaps.append(worst(states[row, :length], wanted))
        if row == 0:
            gaps.append(worst(unpadded.sequence.states[0], wanted))
    assert max(gaps) < TOLERANCE, gaps
    return max(gaps)


@pytest.mark.parametrize(("mask", "positions", "residual"), itertools.product(MASKS, POSITIONS, [False, True]))
def test_masks_positions_and_residual_attention(
    tmp_path: Path, record_property: Any, mask: str, positions: str, residual: bool
) -> None:
    parts = attention(positions=positions, residual=residual)
    model = encoder_model(tmp_path, {"mask": mask, **parts, "num_layers": 3})
    prefixes = [4, 5, 1] if mask == "causal_with_prefix" else None
    record_property("states", check(model, prefixes))


@pytest.mark.parametrize("activation", sorted(reference.ACTIVATIONS))
@pytest.mark.parametrize("feed_forward", ["dense", "gated"])
def test_activations_and_feed_forward(tmp_path: Path, activation: str, feed_forward: str) -> None:
    check(encoder_model(tmp_path, {"feed_forward": {feed_forward: {"activation": activation}}}))


@pytest.mark.parametrize(
    "options",
    [
        {"norm_position": "pre"},
        {"norm_position": "pre", "final_norm": False},
        {"norm_position": "post", "final_norm": True},
        {"norm_position": "both"},
        {"norm_position": "both", "norm": "rmsnorm", "final_norm": False},
        {"norm_position": "both", "first_norm": False},
        {"norm_position": "pre", "first_norm": False},
        {"norm_position": "pre", "parallel": True},
        {"norm_position": "pre", "parallel": True, "first_norm": False, "num_layers": 3},
        {"norm_position": "both", "parallel": True, "layer_scale": 0.5},
        {"layer_scale": 0.5},
        {"norm": "rmsnorm"},
        {"norm": {"rmsnorm": {"eps": 0.1}}, "norm_position": "pre"},
        {"norm": {"rmsnorm": {"offset": True}}, "norm_position": "both"},
        {"norm": {"layernorm": {"bias": False, "eps": 0.1}}},
        attention(bias=False),
        attention(bias=False, output_bias=True),
        attention(output_bias=False),
        attention(key_bias=False, num_key_value_heads=2),
        {"feed_forward": {"dense": {"bias": False}}, "feed_forward_size": 10},
        attention(scale=1.0, head_size=6),
        attention(num_key_value_heads=1),
        attention(num_key_value_heads=2, positions="rotary") | {"mask": "causal"},
        attention(num_key_value_heads=2, residual=True) | {"mask": "causal"},
        attention(residual=True) | {"share_layers": True, "num_layers": 3},
        {"hidden_size": 24, "share_layers": True},
        attention(query_key_norm="rmsnorm", positions="rotary"),
        attention(query_key_norm={"rmsnorm": {"offset": True, "eps": 0.1}}, num_key_value_heads=2),
        attention(query_key_norm={"layernorm": {"bias": False}}) | {"mask": "causal"},
        attention(soft_cap=0.5),
        attention(soft_cap=0.5, num_key_value_heads=2) | {"mask": "causal"},
        attention(soft_cap=0.5, positions="relative"),
        attention(soft_cap=0.5, residual=True),
        attention(window=3),
        attention(window=3) | {"mask": "causal"},
        attention(window=3, positions="alibi", soft_cap=2.0),
        attention(window=3, residual=True),
        attention(positions={"rotary": {"interleaved": True, "theta": 100.0}}),
        attention(positions={"rotary": {"fraction": 0.5}}, head_size=8),
        attention(positions={"rotary": {"fraction": 0.5, "interleaved": True}}, head_size=8),
        attention(positions={"rotary": {"factor": 8.0}}),
        attention(positions={"rotary_llama3": {"original_length": 64, "theta": 500.0}}, head_size=16),
        attention(positions={"relative": {"buckets": 32, "max_distance": 128}}) | {"mask": "causal"},
        attention(positions="alibi", residual=True) | {"num_heads": 8},
    ],
    ids=lambda options: "-".join(f"{k}={v}" for k, v in options.items()),
)
def test_other_options(tmp_path: Path, options: dict[str, Any]) -> None:
    check(encoder_model(tmp_path, options))


@picks(100)
@given(st.sampled_from(MASKS).flatmap(lambda mask: transformers((mask,), parallel=True)))
def test_any_options_together(options: dict[str, Any]) -> None:
    prefixes = [4, 5, 1] if options["mask"] == "causal_with_prefix" else None
    with TemporaryDirectory() as folder:
        check(encoder_model(Path(folder), options), prefixes)


@pytest.mark.parametrize("mask", ["fully_visible", "causal"])
@pytest.mark.parametrize(("positions", "residual"), itertools.product(POSITIONS, [False, True]))
def test_packed_documents_do_not_see_each_other(tmp_path: Path, mask: str, positions: str, residual: bool) -> None:
    parts = attention(positions=positions, residual=residual)
    model = encoder_model(tmp_path, {"mask": mask, **parts})
    ids = tokens(1, 10)
    documents, places = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 1, 2, 3, 0, 1, 0, 1, 2, 3]
    batch = batch_of(input_ids=ids, document_ids=torch.tensor([documents]), position_ids=torch.tensor([places]))
    states = model.encode(batch).sequence.states[0]
    packed = expected(model, ids[0], documents=documents, positions=places)
    assert worst(states, packed) < TOLERANCE
    for start, stop in ((0, 4), (4, 6), (6, 10)):
        assert worst(states[start:stop], expected(model, ids[0, start:stop])) < TOLERANCE


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        ("fully_visible", {"buckets": 3}, "buckets: must be at least 4 where both directions are seen, got 3"),
        ("fully_visible", {"max_distance": 8}, "max_distance: must be greater than 8, the distances that have"),
        ("causal", {"max_distance": 16}, "max_distance: must be greater than 16"),
    ],
)
def test_relative_positions_that_do_not_fit_their_buckets_are_refused(
    tmp_path: Path, mask: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=f"mixer.attention.positions.relative.{message}"):
        encoder_model(tmp_path, {"mask": mask, **attention(positions={"relative": options})})


def test_alibi_slopes_of_a_number_of_heads_between_powers_of_two_are_interleaved() -> None:
    from tp_core.modules.positions.alibi import alibi_slopes

    # Press et al., 2022: the nearest power of two below, then every other slope of the one above.
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(6).tolist() == pytest.approx([2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])


@pytest.mark.parametrize("layout", ["interleaved", "halves"])
@pytest.mark.parametrize("frequencies", ["paper", "tensor2tensor"])
@pytest.mark.parametrize("offset", [0, 2])
def test_sinusoidal_positions_follow_their_formula(tmp_path: Path, layout: str, frequencies: str, offset: int) -> None:
    size, length = 12, 300
    sinusoidal = {"sinusoidal": {"layout": layout, "frequencies": frequencies, "offset": offset}}
    model = build(
        tmp_path,
        {
            "hidden_size": size,
            "vocab_size": 41,
            "embedding": {"modules": ["tp_core.testing.options:ContentConfig", sinusoidal], "norm": "none"},
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        },
    )
    ids = tokens(1, length)
    content: Any = model.embedding.parts["tp_core:testing:options::ContentConfig"]
    added = model.embedding({"input_ids": ids}).states - content({"input_ids": ids}, None).states
    half = size // 2
    exponents = torch.arange(half, dtype=torch.float64) / (half if frequencies == "paper" else half - 1)
    angles = (torch.arange(length, dtype=torch.float64)[:, None] + offset) / 10000**exponents
    wanted = torch.empty(length, size, dtype=torch.float64)
    if layout == "interleaved":
        wanted[:, 0::2], wanted[:, 1::2] = angles.sin(), angles.cos()
    else:
        wanted[:, :half], wanted[:, half:] = angles.sin(), angles.cos()
    assert worst(added[0], wanted) < 2e-5  # float32 angles of some hundreds are exact to about 1e-5


def test_learned_positions_start_at_their_offset_and_follow_position_ids(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {}, embedding=[{"pos": {"max_length": 8, "offset": 2}}])
    content: Any = model.embedding.parts["tp_core:testing:options::ContentConfig"]
    part: Any = model.embedding.parts["pos"]
    ids = tokens(2, 5)
    plain = content({"input_ids": ids}, None).states
    added = model.embedding({"input_ids": ids}).states - plain
    assert worst(added[1], part.table.weight[2:7]) < 1e-6
    chosen = torch.tensor([[3, 3, 0, 7, 1], [0, 0, 0, 1, 2]])
    added = model.embedding({"input_ids": ids, "position_ids": chosen}).states - plain
    assert worst(added, part.table.weight[chosen + 2]) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("left", [False, True])
def test_pooling_takes_the_real_positions_only(left: bool, dtype: torch.dtype) -> None:
    from tp_core.interfaces import Sequence

    lengths, width = [6, 3, 1], 6
    states = torch.randn(3, width, 4, dtype=torch.float64)
    mask = mask_of(lengths, width, left).bool()
    sequence = Sequence(states.to(dtype), mask)
    kept = [states[row][mask[row]] for row in range(3)]
    formulas = {
        "first": [rows[0] for rows in kept],
        "last": [rows[-1] for rows in kept],
        "mean": [sum(rows[1:], rows[0]) / len(rows) for rows in kept],
        "max": [torch.tensor([max(column) for column in rows.T.tolist()], dtype=torch.float64) for rows in kept],
    }
    for how, wanted in formulas.items():
        assert worst(sequence.pooled(how), torch.stack(wanted)) < 1e-6, how
        whole = Sequence(states[:1].to(dtype))
        assert worst(whole.pooled(how), torch.stack(wanted)[:1]) < 1e-6, how


def test_a_mean_has_the_weights_of_its_positions() -> None:
    from tp_core.interfaces import Sequence

    torch.manual_seed(0)
    states = torch.randn(3, 6, 4)
    mask = mask_of([6, 3, 1], 6, False).bool()
    weights = torch.tensor([[0, 0, 1, 1, 2, 2], [1, 2, 2, 7, 7, 7], [0, 1, 1, 1, 1, 1]])
    found = Sequence(states, mask, mean_weights=weights).pooled("mean")
    first = (states[0, 2] + states[0, 3] + 2 * states[0, 4] + 2 * states[0, 5]) / 6
    second = (states[1, 0] + 2 * states[1, 1] + 2 * states[1, 2]) / 5
    assert worst(found, torch.stack([first, second, torch.zeros(4)])) < 1e-6
    whole = Sequence(states, mean_weights=weights)
    assert worst(whole.pooled("mean")[0], first) < 1e-6
    assert worst(whole.select(torch.tensor([1, 0])).pooled("mean")[1], first) < 1e-6


def test_unknown_pooling_names_the_known_ones() -> None:
    from tp_core.interfaces import Sequence

    with pytest.raises(ValueError, match="unknown pooling 'median'; expected first, last, mean or max"):
        Sequence(torch.zeros(1, 1, 1)).pooled("median")
