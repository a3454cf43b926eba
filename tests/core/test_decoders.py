"""Decoders: their contracts, what they attend to, and the formulas of the recurrent ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.building import CONTENT, READOUT, attention, build, mask_of, randomised, tokens, worst
from tp_core import Batch, Model, SpecError, TPError
from tp_core.interfaces import KVCache
from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig
from tp_core.testing import check_module

TOLERANCE = 1e-5
SMALL = {"num_layers": 2, "num_heads": 4, "feed_forward_size": 32}
RELU = {"feed_forward": {"dense": {"activation": "relu"}}}

CONFORMING: list[tuple[str, dict[str, Any]]] = [
    ("transformer", {}),
    ("transformer", {"norm_position": "pre", "norm": "rmsnorm", "feed_forward": "gated", **attention(bias=False)}),
    ("transformer", {"norm_position": "both", "norm": "rmsnorm", "first_norm": False}),
    ("transformer", attention(positions={"relative": {"buckets": 8, "max_distance": 9}})),
    ("transformer", attention(positions="rotary", head_size=4, num_key_value_heads=2, query_key_norm="rmsnorm")),
    ("transformer", {"share_layers": True, **attention(positions="alibi", residual=True)}),
    ("transformer", {"hidden_size": 16, "scale_residual_init": True, "drop_path": 0.2}),
    ("transformer", {"mask": "fully_visible"}),
    ("lstm", {"num_layers": 2}),
    ("lstm", {"hidden_size": 16, "initial_state": "zeros"}),
    ("gru", {"num_layers": 2, "residual": True}),
]


@pytest.mark.parametrize(("name", "options"), CONFORMING, ids=str)
def test_decoders_conform(name: str, options: dict[str, Any]) -> None:
    check_module(name, "decoder", {**(SMALL if name == "transformer" else {}), **options})


def model_of(folder: Path, decoder: dict[str, Any], **options: Any) -> Model:
    parts = {
        "hidden_size": 16,
        "vocab_size": 41,
        "dropout": 0.0,
        "embedding": {"modules": [CONTENT], "norm": "none"},
        "encoder": {"transformer": {**SMALL, "hidden_size": 24}},
        "target_embedding": {"modules": [CONTENT], "norm": "none"},
        "decoder": decoder,
        "target": [READOUT],
        **options,
    }
    return randomised(build(folder, parts), std=0.3)


DECODERS = {"transformer": {"transformer": SMALL}, "lstm": {"lstm": {"num_layers": 2}}, "gru": {"gru": {}}}


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@torch.no_grad()
def test_padding_of_either_side_and_batch_mates_change_nothing(
    tmp_path: Path, decoder: dict[str, Any], left: bool
) -> None:
    model = model_of(tmp_path, decoder)
    lengths, target_lengths = [7, 2, 4, 1], [3, 5, 1, 6]
    mask, target_mask = mask_of(lengths, 9, left), mask_of(target_lengths, 8, left)
    source, target = tokens(*mask.shape, seed=1), tokens(*target_mask.shape, seed=2)
    sides = {"input_ids": source, "attention_mask": mask}, {"input_ids": target, "attention_mask": target_mask}
    together = model.encode(Batch.of(sides[0], 4, sides[1])).sequence.states
    for row in range(4):
        real, target_real = mask[row].bool(), target_mask[row].bool()
        batch = Batch.of({"input_ids": source[row][real][None]}, 1, {"input_ids": target[row][target_real][None]})
        alone = model.encode(batch).sequence.states[0]
        assert worst(together[row][target_real], alone) < TOLERANCE


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@torch.no_grad()
def test_a_source_without_any_real_position_harms_no_other(tmp_path: Path, decoder: dict[str, Any]) -> None:
    model = model_of(tmp_path, decoder)
    source, mask, target = tokens(2, 5), mask_of([5, 0], 5), tokens(2, 4, seed=1)
    found = model.encode(Batch.of({"input_ids": source, "attention_mask": mask}, 2, {"input_ids": target}))
    alone = model.encode(Batch.of({"input_ids": source[:1]}, 1, {"input_ids": target[:1]}))
    assert found.sequence.states.isfinite().all()
    assert worst(found.sequence.states[:1], alone.sequence.states) < TOLERANCE


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@torch.no_grad()
def test_the_source_changes_every_state(tmp_path: Path, decoder: dict[str, Any]) -> None:
    model = model_of(tmp_path, decoder)
    target = tokens(1, 6, seed=1)
    first, other = (
        model.encode(Batch.of({"input_ids": tokens(1, 4, seed=seed)}, 1, {"input_ids": target})).sequence.states
        for seed in (2, 3)
    )
    assert ((first - other).abs().amax(dim=-1) > 1e-3).all()


def plain_attention(decoder: Any, states: Tensor, memory: Tensor) -> Tensor:
    """Luong's global attention of one sample, position by position, in float64."""
    query, output = decoder.query.weight.double(), decoder.output
    rows = []
    for state in states.double():
        scores = memory.double() @ (query @ state)
        mean = torch.softmax(scores, dim=0) @ memory.double()
        rows.append(torch.tanh(output.weight.double() @ torch.cat([mean, state]) + output.bias.double()))
    return torch.stack(rows)


@pytest.mark.parametrize("initial_state", ["zeros", "memory"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@torch.no_grad()
def test_recurrent_decoders_are_the_papers_formulas_over_torchs_networks(
    tmp_path: Path, kind: str, initial_state: str
) -> None:
    model = model_of(tmp_path, {kind: {"num_layers": 2, "initial_state": initial_state}})
    decoder: Any = model.decoder
    features = model.encode(Batch.of({"input_ids": tokens(1, 5)}, 1, {"input_ids": tokens(1, 7, seed=1)}))
    assert features.memory is not None
    assert model.target_embedding is not None
    memory = features.memory.states[0]
    states = model.target_embedding({"input_ids": tokens(1, 7, seed=1)}).states
    parts = 4 if kind == "lstm" else 2
    start = [torch.zeros(1, 1, 16)] * parts
    if initial_state == "memory":
        made = torch.tanh(memory.mean(0) @ decoder.start.weight.T + decoder.start.bias)
        start = [part.view(1, 1, 16) for part in made.split(16)]
    for number, layer in enumerate(decoder.stack.layers):
        given: Any = start[number]
        if kind == "lstm":
            given = (start[2 * number], start[2 * number + 1])
        states, _ = layer(states, given)
    assert worst(features.sequence.states[0].double(), plain_attention(decoder, states[0], memory)) < TOLERANCE


def by_part(rows: Tensor, parts: int) -> Tensor:
    """Rows of four heads of width 4 that stand by head and then by part, by part and then by head."""
    return rows.reshape(4, parts, 4, *rows.shape[1:]).transpose(0, 1).flatten(0, 2)


@torch.no_grad()
def test_a_transformer_decoder_is_torchs_with_the_same_weights(tmp_path: Path) -> None:
    for position, where in (("pre", "before"), ("post", "after")):
        model = model_of(
            tmp_path,
            {"transformer": {**SMALL, **RELU, "norm_position": position, "final_norm": False}},
            encoder={"transformer": {**SMALL, "hidden_size": 16}},
        )
        decoder: Any = model.decoder
        theirs = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(
                16, 4, 32, 0.0, batch_first=True, norm_first=position == "pre", layer_norm_eps=1e-12
            ),
            2,
        ).eval()
        for mine, layer in zip(decoder.layers, theirs.layers):
            assert isinstance(layer, nn.TransformerDecoderLayer)
            cross = mine.cross_attention
            copies = {
                "self_attn.out_proj.": mine.mixer.output,
                "multihead_attn.out_proj.": cross.output,
                "linear1.": mine.feed_forward.input,
                "linear2.": mine.feed_forward.output,
                "norm1.": getattr(mine.mixer_residual, where),
                "norm2.": getattr(mine.cross_attention_residual, where),
                "norm3.": getattr(mine.feed_forward_residual, where),
            }
            state = {name + kind: getattr(part, kind) for name, part in copies.items() for kind in ("weight", "bias")}
            for kind in ("weight", "bias"):
                state[f"self_attn.in_proj_{kind}"] = by_part(getattr(mine.mixer.qkv, kind), 3)
                both = [getattr(cross.query, kind), by_part(getattr(cross.key_value, kind), 2)]
                state[f"multihead_attn.in_proj_{kind}"] = torch.cat(both)
            layer.load_state_dict(state)
        mask, target_mask = mask_of([5, 3], 5), mask_of([6, 4], 6)
        target = tokens(2, 6, seed=1)
        sides = (
            {"input_ids": tokens(2, 5), "attention_mask": mask},
            {"input_ids": target, "attention_mask": target_mask},
        )
        features = model.encode(Batch.of(sides[0], 2, sides[1]))
        assert features.memory is not None
        assert model.target_embedding is not None
        expected = theirs(
            model.target_embedding({"input_ids": target}).states,
            features.memory.states,
            tgt_mask=torch.ones(6, 6).triu(1).bool(),
            tgt_key_padding_mask=~target_mask.bool(),
            memory_key_padding_mask=~mask.bool(),
        )
        assert worst(features.sequence.states, expected, target_mask) < TOLERANCE


def test_a_decoder_takes_its_sub_layers_in_turn(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="parallel: leaves no place for attention to the encoder's states"):
        model_of(tmp_path, {"transformer": {**SMALL, "norm_position": "pre", "parallel": True}})
    with pytest.raises(SpecError, match=r"layers\.-1\.parallel: leaves no place for attention to the encoder's states"):
        model_of(tmp_path, {"transformer": {**SMALL, "norm_position": "pre", "layers": {"-1": {"parallel": True}}}})


@pytest.mark.parametrize(
    "option", [{"window": 2}, {"positions": "rotary"}, {"key_bias": False}, {"residual": True}], ids=str
)
def test_attention_to_the_memory_has_no_options_of_self_attention(tmp_path: Path, option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(SpecError, match=rf"cross_attention\.attention\.{name}: is for self-attention"):
        build(tmp_path, parts_of({"cross_attention": {"attention": option}}))
    build(tmp_path, parts_of({"mixer": {"attention": option}}))


def test_a_decoder_is_causal_where_nothing_is_said() -> None:
    assert TransformerDecoderConfig().mask == "causal"


def test_recomputed_activations_change_no_gradient(tmp_path: Path) -> None:
    for decoder in DECODERS.values():
        model = model_of(tmp_path, decoder).train()
        batch = Batch.of({"input_ids": tokens(2, 5)}, 2, {"input_ids": tokens(2, 6, seed=1)})

        def gradients(model: Model = model, batch: Batch = batch) -> list[Tensor]:
            model.zero_grad()
            model(batch).loss.backward()
            return [p.grad.clone() for p in model.parameters() if p.grad is not None]

        before = gradients()
        model.checkpoint_activations()
        after = gradients()
        assert len(before) == len(after) > 10
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(before, after))


def test_gpt_2s_scaled_initialisation_reaches_the_attention_to_the_memory(tmp_path: Path) -> None:
    plain = build(tmp_path, parts_of({}))
    scaled = build(tmp_path, parts_of({"scale_residual_init": True}))
    for name, weight in plain.weights().items():
        factor = 0.5 if name.startswith("decoder.") and name.endswith("output.weight") else 1.0
        assert torch.allclose(scaled.weights()[name], weight * factor), name


def parts_of(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "vocab_size": 41,
        "embedding": [CONTENT],
        "encoder": {"transformer": SMALL},
        "target_embedding": [CONTENT],
        "decoder": {"transformer": {**SMALL, **options}},
        "target": [READOUT],
    }


def test_a_decoder_without_a_target_side_is_one_message(tmp_path: Path) -> None:
    model = model_of(tmp_path, DECODERS["gru"])
    with pytest.raises(TPError, match="no target side for the model's decoder"):
        model.encode(Batch.of({"input_ids": tokens(1, 3)}, 1), KVCache())
    parts = parts_of({})
    del parts["target_embedding"]
    with pytest.raises(SpecError, match="target_embedding"):
        build(tmp_path, parts)
    with pytest.raises(SpecError, match="num_heads: 4 does not divide hidden_size 18"):
        build(tmp_path, parts_of({"hidden_size": 18}))
