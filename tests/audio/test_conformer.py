"""The conformer computes what independent references compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.building import CONTENT, READOUT, batch_of, build, mask_of, randomised, tokens, worst
from tp_audio.encoders.batch_norm import MaskedBatchNorm
from tp_audio.positions.distance import by_key
from tp_core import Model

Record = Callable[[str, Any], None]
SIZES = [([9, 4, 6], 18, 2, 3, 5), ([1], 8, 1, 2, 3), ([23, 23], 24, 4, 1, 7)]


def model(folder: Path, hidden: int, layers: int, heads: int, kernel: int, **options: Any) -> Model:
    conformer = {"num_layers": layers, "num_heads": heads, "kernel_size": kernel, "feed_forward_size": 40, **options}
    parts = {
        "hidden_size": hidden,
        "vocab_size": 41,
        "dropout": 0.0,
        "activation_dropout": 0.0,
        "embedding": {"modules": [CONTENT], "norm": "none"},
        "encoder": {"conformer": conformer},
        "target": [READOUT],
    }
    made = randomised(build(folder, parts))
    for name, buffer in made.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=torch.Generator().manual_seed(len(name))) + 0.5)
    return made


def by_kind(rows: Tensor, heads: int) -> list[Tensor]:
    """The rows of queries, of keys and of values, which stand by head."""
    return [each.flatten(0, 1) for each in rows.unflatten(0, (heads, 3, -1)).unbind(1)]


def torchaudio_weights(made: Model, heads: int) -> dict[str, Tensor]:
    """The encoder's weights as torchaudio's Conformer names them."""
    names = {
        "first_norm": "ffn1.sequential.0",
        "first_feed_forward.input": "ffn1.sequential.1",
        "first_feed_forward.output": "ffn1.sequential.4",
        "mixer_norm": "self_attn_layer_norm",
        "mixer.output": "self_attn.out_proj",
        "convolution_norm": "conv_module.layer_norm",
        "convolution.expansion": "conv_module.sequential.0",
        "convolution.depthwise": "conv_module.sequential.2",
        "convolution.norm": "conv_module.sequential.3",
        "convolution.output": "conv_module.sequential.5",
        "second_norm": "ffn2.sequential.0",
        "second_feed_forward.input": "ffn2.sequential.1",
        "second_feed_forward.output": "ffn2.sequential.4",
        "final_norm": "final_layer_norm",
    }
    found = {}
    for name, value in made.encoder.state_dict().items():
        _, number, rest = name.split(".", 2)
        part, _, kind = rest.rpartition(".")
        if part == "mixer.qkv":
            theirs = f"self_attn.in_proj_{kind}"
            value = torch.cat(by_kind(value, heads))
        else:
            theirs = f"{names[part]}.{kind}"
            if part in ("convolution.expansion", "convolution.output") and kind == "weight":
                value = value.unsqueeze(-1)
        found[f"conformer_layers.{number}.{theirs}"] = value
    return found


@pytest.mark.parametrize(("lengths", "hidden", "layers", "heads", "kernel"), SIZES, ids=["padded", "one", "long"])
def test_states_are_those_of_torchaudio(
    tmp_path: Path, record_property: Record, lengths: list[int], hidden: int, layers: int, heads: int, kernel: int
) -> None:
    from torchaudio.models import Conformer

    made = model(tmp_path, hidden, layers, heads, kernel, mixer={"attention": {"positions": "none"}})
    theirs = Conformer(hidden, heads, 40, layers, kernel).eval()
    theirs.load_state_dict(torchaudio_weights(made, heads))
    mask = mask_of(lengths, max(lengths))
    ids = tokens(*mask.shape)
    with torch.no_grad():
        ours = made.encode(batch_of(input_ids=ids, attention_mask=mask)).sequence.states
        for row, length in enumerate(lengths):  # torchaudio's convolutions see padding, so each sample is alone
            states = made.embedding({"input_ids": ids[row : row + 1, :length]}).states
            gap = worst(ours[row : row + 1, :length], theirs(states, torch.tensor([length]))[0])
            record_property("states", gap)
            assert gap < 1e-5


def test_states_with_relative_positions_are_those_of_transformers(tmp_path: Path, record_property: Record) -> None:
    transformers: Any = pytest.importorskip("transformers")
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

    hidden, layers, heads, kernel = 16, 2, 4, 5
    made = model(tmp_path, hidden, layers, heads, kernel, convolution_bias=False)
    config = transformers.Wav2Vec2ConformerConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=40,
        hidden_act="swish",
        conv_depthwise_kernel_size=kernel,
        position_embeddings_type="relative",
        layerdrop=0.0,
        attn_implementation="eager",
    )
    theirs = Wav2Vec2ConformerEncoder(config).eval()
    weights: dict[str, Tensor] = {}
    names = {
        "first_norm": "ffn1_layer_norm",
        "first_feed_forward.input": "ffn1.intermediate_dense",
        "first_feed_forward.output": "ffn1.output_dense",
        "mixer_norm": "self_attn_layer_norm",
        "mixer.output": "self_attn.linear_out",
        "mixer.positions.distance": "self_attn.linear_pos",
        "mixer.positions.content_bias": "self_attn.pos_bias_u",
        "mixer.positions.distance_bias": "self_attn.pos_bias_v",
        "convolution_norm": "conv_module.layer_norm",
        "convolution.expansion": "conv_module.pointwise_conv1",
        "convolution.depthwise": "conv_module.depthwise_conv",
        "convolution.norm": "conv_module.batch_norm",
        "convolution.output": "conv_module.pointwise_conv2",
        "second_norm": "ffn2_layer_norm",
        "second_feed_forward.input": "ffn2.intermediate_dense",
        "second_feed_forward.output": "ffn2.output_dense",
        "final_norm": "final_layer_norm",
    }
    for name, value in made.encoder.state_dict().items():
        _, number, rest = name.split(".", 2)
        part, _, kind = rest.rpartition(".")
        if part == "mixer.qkv":
            for letter, piece in zip("qkv", by_kind(value, heads)):
                weights[f"layers.{number}.self_attn.linear_{letter}.{kind}"] = piece
        elif rest in names:
            weights[f"layers.{number}.{names[rest]}"] = value
        else:
            wide = part in ("convolution.expansion", "convolution.output")
            weights[f"layers.{number}.{names[part]}.{kind}"] = value.unsqueeze(-1) if wide else value
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected
    assert not [name for name in missing if name.startswith("layers.")]
    theirs.layer_norm = nn.Identity()  # a further norm, after the last layer's own
    ids = tokens(2, 11)
    with torch.no_grad():
        states = made.embedding({"input_ids": ids}).states
        gap = worst(made.encode(batch_of(input_ids=ids)).sequence.states, theirs(states)[0])
    record_property("states", gap)
    assert gap < 1e-5


def test_rotary_positions_depend_on_distances_alone(tmp_path: Path) -> None:
    made = model(tmp_path, 16, 1, 2, 3, mixer={"attention": {"positions": "rotary"}})
    ids = tokens(1, 12)
    ids[:, 6:] = ids[:, :6]
    with torch.no_grad():
        twice = made.embedding({"input_ids": ids})
        layer: Any = made.encoder.layers[0]  # type: ignore[index, union-attr]
        queries, keys, _ = layer.mixer.qkv(twice.states).unflatten(-1, (2, 3, 8)).transpose(1, 2).unbind(-2)
        angles = layer.mixer.prepare(made.encoder.shared.begin(twice)).values  # type: ignore[operator, union-attr]
        queries, keys = layer.mixer.positions.rotate(queries, keys, angles)
        scores = queries @ keys.transpose(-1, -2)
        assert worst(scores[..., :6, :6], scores[..., 6:, 6:]) < 1e-4
        other = model(tmp_path, 16, 1, 2, 3, mixer={"attention": {"positions": "none"}})
        assert worst(made.encoder(twice).states, other.encoder(twice).states) > 1e-3


def test_scores_by_distance_become_scores_by_key() -> None:
    length = 5
    distances = torch.arange(length - 1, -length, -1.0).expand(2, length, -1)
    expected = torch.arange(length).unsqueeze(1) - torch.arange(length)
    assert torch.equal(by_key(distances)[1], expected.float())


def test_batch_norm_counts_real_positions_only_and_each_batch_once() -> None:
    ours, theirs = MaskedBatchNorm(6), nn.BatchNorm1d(6)
    states = torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(0))
    mask = mask_of([7, 2, 5], 7).bool()
    assert worst(ours(states, mask)[mask], theirs(states[mask])) < 1e-5
    assert worst(ours.running_mean, theirs.running_mean) < 1e-6  # type: ignore[arg-type]
    assert worst(ours.running_var, theirs.running_var) < 1e-6  # type: ignore[arg-type]
    assert worst(ours.eval()(states, None).flatten(0, 1), theirs.eval()(states.flatten(0, 1))) < 1e-5


def test_scores_are_added_to_those_of_the_layer_before(tmp_path: Path) -> None:
    mixer = {"mixer": {"attention": {"residual": True}}}
    mixed: list[Any] = []
    made = model(tmp_path, 16, 2, 2, 5, **mixer).eval()
    for layer in made.encoder.layers:  # type: ignore[union-attr]
        layer.mixer.register_forward_hook(lambda module, given, result: mixed.append((given[2], result[1])))
    made.encode(batch_of(input_ids=tokens(2, 9)))
    (nothing, first), (carried, second) = mixed
    assert nothing is None
    assert carried is first
    assert not torch.equal(first, second)


@pytest.mark.parametrize("mixer", [{}, {"mixer": {"attention": {"residual": True}}}])
def test_recomputing_activations_changes_neither_gradients_nor_statistics(
    tmp_path: Path, mixer: dict[str, Any]
) -> None:
    found = []
    for recompute in (False, True):
        made = model(tmp_path, 16, 2, 2, 5, **mixer).train()
        made.checkpoint_activations(recompute)
        mask = mask_of([9, 4], 9)
        made(batch_of(input_ids=tokens(2, 9), attention_mask=mask)).loss.backward()
        grads = [p.grad for p in made.encoder.parameters() if p.grad is not None]
        found.append([*grads, *(b.float() for b in made.encoder.buffers())])
    assert all(worst(a, b) < 1e-6 for a, b in zip(*found))
