"""A text that is read piece by piece, with a kv_cache, gets the states that it gets as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import (
    CONTENT,
    READOUT,
    attention,
    batch_of,
    build,
    encoder_model,
    mask_of,
    randomised,
    tokens,
    worst,
)
from tp_core import Batch, Model
from tp_core.interfaces import KVCache, Sequence

TOLERANCE = 1e-5
POSITION = {"pos": {"max_length": 16, "offset": 1}}
STEPS = [[1] * 12, [5, 1, 1, 3, 2]]
PROMPTS = [5, 2, 4]  # real tokens of each row's first five places

VARIANTS: list[tuple[list[Any], dict[str, Any]]] = [
    *(([], attention(positions=each)) for each in ("none", "rotary", "relative", "alibi")),
    ([POSITION], {}),
    (["sinusoidal"], {"norm_position": "pre", **attention(residual=True)}),
    (["sinusoidal"], {"share_layers": True, "norm_position": "pre"}),
    ([POSITION], attention(positions="relative", residual=True)),
    ([], {"share_layers": True, "norm": "rmsnorm", "feed_forward": "gated", **attention(positions="rotary")}),
    ([], {"share_layers": True, **attention(positions="alibi", residual=True)}),
    ([], attention(positions={"rotary": {"fraction": 0.5}}, num_key_value_heads=2, head_size=8)),
    ([POSITION], attention(num_key_value_heads=1, residual=True, scale=1.0)),
    ([], {"norm_position": "both", "first_norm": False, **attention(positions="rotary", query_key_norm="rmsnorm")}),
    ([], {"norm_position": "pre", "parallel": True, **attention(positions="relative", soft_cap=2.0, window=4)}),
]
OTHERS: list[tuple[list[Any], str, dict[str, Any]]] = [
    ([], "rnn", {"num_layers": 2}),
    ([POSITION], "lstm", {"num_layers": 2}),
    (["sinusoidal"], "gru", {}),
    ([], "gatedcnn", {"num_layers": 3}),
    ([POSITION], "identity", {}),
]


def transformer(options: dict[str, Any]) -> dict[str, Any]:
    return {"transformer": {"num_layers": 2, "num_heads": 4, "mask": "causal", "dropout": 0.0, **options}}


def decoder_model(
    folder: Path, decoder: dict[str, Any], embedding: list[Any], encoder: dict[str, Any] | None = None
) -> Model:
    """A model whose encoder is wider than its decoder, and whose embeddings are narrower than both."""
    narrow = {CONTENT: {"embedding_size": 12}}
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "dropout": 0.0,
        "embedding": {"modules": [CONTENT, "sinusoidal"], "norm": "none"},
        "encoder": encoder or {"transformer": {"num_layers": 1, "num_heads": 2, "hidden_size": 24}},
        "target_embedding": {"modules": [narrow, *embedding], "norm": "none"},
        "decoder": decoder,
        "target": [READOUT],
    }
    return randomised(build(folder, parts), std=0.3)


def prompts(padding: str, width: int = 12) -> Tensor | None:
    """(3, width) mask of texts that begin with padded prompts; None without padding."""
    if padding == "none":
        return None
    mask = torch.ones(3, width, dtype=torch.long)
    mask[:, :5] = mask_of(PROMPTS, 5, left=padding == "left")
    return mask


def pieces(ids: Tensor, mask: Tensor | None, steps: list[int]) -> list[dict[str, Tensor]]:
    """The inputs of each call; the mask is given only as long as there is padding in it."""
    found, start = [], 0
    for size in steps:
        inputs = {"input_ids": ids[:, start : start + size]}
        if mask is not None and not bool(mask[:, start : start + size].all()):
            inputs["attention_mask"] = mask[:, start : start + size]
        found.append(inputs)
        start += size
    return found


@torch.no_grad()
def check_encoder(model: Model, padding: str, steps: list[int]) -> None:
    """Step by step in a padded batch, against each row alone, whole, unpadded and without a kv_cache."""
    ids, mask = tokens(3, 12), prompts(padding)
    kv_cache = KVCache()
    calls = [model.encode(batch_of(None, **inputs), kv_cache) for inputs in pieces(ids, mask, steps)]
    stepwise = torch.cat([each.sequence.states for each in calls], dim=1)
    assert (kv_cache.start, kv_cache.length) == (12 - steps[-1], 12)
    for row in range(3):
        real = torch.ones(12, dtype=torch.bool) if mask is None else mask[row].bool()
        whole = model.encode(batch_of(input_ids=ids[row][real][None])).sequence.states[0]
        assert worst(stepwise[row][real], whole) < TOLERANCE


@torch.no_grad()
def check_decoder(model: Model, source_padding: str, padding: str, steps: list[int]) -> None:
    ids, mask = tokens(3, 12, seed=1), prompts(padding)
    lengths = [7, 3, 5]
    source = tokens(3, 7, seed=2)
    source_mask = None if source_padding == "none" else mask_of(lengths, 7, left=source_padding == "left")
    inputs = {"input_ids": source} | ({} if source_mask is None else {"attention_mask": source_mask})
    kv_cache, found = KVCache(), []
    for number, target in enumerate(pieces(ids, mask, steps)):
        # What is read at the first call is not read again.
        found.append(model.encode(Batch.of(inputs if number == 0 else {}, 3, target), kv_cache).sequence.states)
    stepwise = torch.cat(found, dim=1)
    for row in range(3):
        real = torch.ones(12, dtype=torch.bool) if mask is None else mask[row].bool()
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        whole = model.encode(Batch.of(alone, 1, {"input_ids": ids[row][real][None]})).sequence.states[0]
        assert worst(stepwise[row][real], whole) < TOLERANCE


def name(case: Any) -> str:
    return "-".join(str(part) for part in case if part)


@pytest.mark.parametrize("steps", STEPS, ids=["one by one", "in pieces"])
@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("case", VARIANTS, ids=name)
def test_a_causal_transformer(tmp_path: Path, case: Any, padding: str, steps: list[int]) -> None:
    embedding, options = case
    model = encoder_model(tmp_path, {"mask": "causal", **options}, embedding=embedding)
    check_encoder(model, padding, steps)


@pytest.mark.parametrize("steps", STEPS, ids=["one by one", "in pieces"])
@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("case", OTHERS, ids=name)
def test_other_causal_encoders(tmp_path: Path, case: Any, padding: str, steps: list[int]) -> None:
    embedding, encoder, options = case
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "embedding": {"modules": [CONTENT, *embedding], "norm": "none"},
        "encoder": {encoder: options},
        "target": [READOUT],
    }
    check_encoder(randomised(build(tmp_path, parts), std=0.3), padding, steps)


@pytest.mark.parametrize("steps", STEPS, ids=["one by one", "in pieces"])
@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("case", [case for case in VARIANTS if "parallel" not in case[1]], ids=name)
def test_a_transformer_decoder(tmp_path: Path, case: Any, padding: str, steps: list[int]) -> None:
    embedding, options = case
    model = decoder_model(tmp_path, transformer(options), embedding)
    check_decoder(model, "right" if padding == "left" else "left", padding, steps)


@pytest.mark.parametrize("steps", STEPS, ids=["one by one", "in pieces"])
@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("source_padding", ["none", "right"])
@pytest.mark.parametrize(
    "decoder",
    [{"lstm": {"num_layers": 2}}, {"gru": {"residual": True, "num_layers": 2}}, {"gru": {"initial_state": "zeros"}}],
)
def test_recurrent_decoders(
    tmp_path: Path, decoder: dict[str, Any], source_padding: str, padding: str, steps: list[int]
) -> None:
    check_decoder(decoder_model(tmp_path, decoder, ["sinusoidal"]), source_padding, padding, steps)


@pytest.mark.parametrize("encoder", ["bilstm", "cnn"])
def test_a_decoder_behind_another_encoder(tmp_path: Path, encoder: str) -> None:
    model = decoder_model(tmp_path, transformer({}), [], encoder={encoder: {"hidden_size": 24}})
    check_decoder(model, "right", "left", STEPS[1])


@pytest.mark.parametrize("padding", ["none", "left", "right"])
@torch.no_grad()
def test_a_prefix_that_everyone_sees_is_a_part_of_the_first_call(tmp_path: Path, padding: str) -> None:
    options = {"mask": "causal_with_prefix", **attention(positions="rotary")}
    model = encoder_model(tmp_path, options, embedding=[POSITION])
    ids, mask = tokens(3, 12), prompts(padding)
    lead = torch.tensor([5, 5, 5] if padding == "left" else PROMPTS)
    kv_cache, found = KVCache(), []
    for number, inputs in enumerate(pieces(ids, mask, [5, 1, 4, 2])):
        prefix = {"prefix_lengths": lead} if number == 0 else {}
        found.append(model.encode(batch_of(None, **inputs, **prefix), kv_cache).sequence.states)
    stepwise = torch.cat(found, dim=1)
    for row in range(3):
        real = torch.ones(12, dtype=torch.bool) if mask is None else mask[row].bool()
        prefix_length = torch.tensor([5 if padding == "none" else PROMPTS[row]])
        if padding == "none":
            prefix_length = lead[row : row + 1]
        whole = model.encode(batch_of(input_ids=ids[row][real][None], prefix_lengths=prefix_length))
        assert worst(stepwise[row][real], whole.sequence.states[0]) < TOLERANCE


@torch.no_grad()
def test_positions_that_the_caller_gives_are_kept(tmp_path: Path) -> None:
    model = encoder_model(tmp_path, {"mask": "causal", **attention(positions="rotary")}, embedding=[POSITION])
    ids, positions = tokens(2, 6), torch.tensor([[0, 1, 2, 5, 6, 7], [3, 4, 5, 6, 7, 8]])
    whole = model.encode(batch_of(input_ids=ids, position_ids=positions)).sequence.states
    kv_cache = KVCache()
    parts = [
        model.encode(batch_of(input_ids=ids[:, part], position_ids=positions[:, part]), kv_cache).sequence.states
        for part in (slice(0, 2), slice(2, 3), slice(3, 6))
    ]
    assert worst(torch.cat(parts, dim=1), whole) < TOLERANCE


DECODERS = {"transformer": transformer(attention(positions="relative")), "lstm": {"lstm": {}}}


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@torch.no_grad()
def test_the_source_is_read_once(tmp_path: Path, decoder: dict[str, Any]) -> None:
    model = decoder_model(tmp_path, decoder, [])
    calls: list[Any] = []
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    kv_cache = KVCache()
    first = model.encode(Batch.of({"input_ids": tokens(2, 5)}, 2, {"input_ids": tokens(2, 1)}), kv_cache)
    again = model.encode(Batch({}, 2, {"input_ids": tokens(2, 1)}), kv_cache)
    assert len(calls) == 1
    assert first.memory is not None
    assert again.memory is first.memory is kv_cache.memory


@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@torch.no_grad()
def test_rows_that_are_dropped_repeated_and_exchanged_go_on_as_they_were(
    tmp_path: Path, decoder: dict[str, Any], padding: str
) -> None:
    model = decoder_model(tmp_path, decoder, [POSITION])
    ids, mask = tokens(3, 5, seed=1), prompts(padding, 5)
    source, source_mask = tokens(3, 7, seed=2), mask_of([7, 3, 5], 7)
    following = tokens(4, 3, seed=3)
    index = torch.tensor([2, 0, 0, 1])
    kv_cache = KVCache()
    inputs = {"input_ids": source, "attention_mask": source_mask}
    for target in pieces(ids, mask, [4, 1]):
        model.encode(Batch.of(inputs, 3, target), kv_cache)
    kv_cache.reorder(index)
    found = model.encode(Batch({}, 4, {"input_ids": following}), kv_cache).sequence.states
    for row, origin in enumerate(index.tolist()):
        real = torch.ones(5, dtype=torch.bool) if mask is None else mask[origin].bool()
        text = torch.cat([ids[origin][real], following[row]])[None]
        alone = {name: value[origin : origin + 1] for name, value in inputs.items()}
        whole = model.encode(Batch.of(alone, 1, {"input_ids": text})).sequence.states[0]
        assert worst(found[row], whole[-3:]) < TOLERANCE


def test_a_cache_counts_real_places_only() -> None:
    kv_cache = KVCache()
    states = torch.zeros(2, 3, 1)
    first = kv_cache.extend(Sequence(states))
    assert first.positions is not None
    assert first.positions.tolist() == [[0, 1, 2]]
    second = kv_cache.extend(Sequence(states, mask=torch.tensor([[True, False, False], [False, True, True]])))
    assert second.positions is not None
    assert second.positions.tolist() == [[3, 3, 3], [2, 3, 4]]
    assert kv_cache.mask is not None
    assert kv_cache.mask.sum(dim=1).tolist() == [4, 5]
    third = kv_cache.extend(Sequence(states[:, :1]))
    assert third.positions is not None
    assert third.positions.tolist() == [[4], [5]]
    assert (kv_cache.start, kv_cache.length) == (6, 7)


def test_a_cache_keeps_what_modules_put_into_it() -> None:
    kv_cache = KVCache()
    assert kv_cache.get("cell") is None
    kv_cache.put("cell", torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]))
    kv_cache.reorder(torch.tensor([1, 1, 0]))
    kept = kv_cache.get("cell")
    assert kept is not None
    assert [tensor.flatten().tolist() for tensor in kept] == [[2.0, 2.0, 1.0], [4.0, 4.0, 3.0]]
