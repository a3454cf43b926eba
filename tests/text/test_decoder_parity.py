"""Encoder-decoder models built from specs compute what those of ``transformers`` compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import mask_of, tokens, worst
from tests.text.hf_weights import by_group
from tests.text.parity import TOLERANCE, VOCABULARY, Record, check, next_labels, ours, reference
from tp_core import Batch, Model
from tp_core.interfaces import KVCache

pytest.importorskip("transformers")

State = dict[str, Tensor]

#: (real lengths of the sources, of the targets)
SHAPES = [([7, 3, 5], [6, 6, 2]), ([4, 4], [1, 5]), ([1], [3])]


#: Heads of every attention here.
HEADS = 4


def fused(state: State, names: list[str]) -> Tensor:
    return by_group([state[name] for name in names], HEADS)


def t5(state: State, gated: bool, tied: bool) -> State:
    weights = {"embedding.parts.word.table.weight": state["shared.weight"]}
    if not tied:
        weights["targets.lm.output.weight"] = state["lm_head.weight"]
    for side in ("encoder", "decoder"):
        weights[f"{side}.norm.weight"] = state[f"{side}.final_layer_norm.weight"]
        first = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        weights[f"{side}.shared.0.bias.weight"] = state[first]
        last = 1 if side == "encoder" else 2
        for number in range(2):
            theirs, mine = f"{side}.block.{number}.layer", f"{side}.layers.{number}"
            own, dense = f"{theirs}.0.SelfAttention", f"{theirs}.{last}.DenseReluDense"
            weights |= {
                f"{mine}.mixer.qkv.weight": fused(state, [f"{own}.{part}.weight" for part in "qkv"]),
                f"{mine}.mixer.output.weight": state[f"{own}.o.weight"],
                f"{mine}.mixer_residual.before.weight": state[f"{theirs}.0.layer_norm.weight"],
                f"{mine}.feed_forward_residual.before.weight": state[f"{theirs}.{last}.layer_norm.weight"],
                f"{mine}.feed_forward.output.weight": state[f"{dense}.wo.weight"],
                f"{mine}.feed_forward.input.weight": state[f"{dense}.{'wi_1' if gated else 'wi'}.weight"],
            }
            if gated:
                weights[f"{mine}.feed_forward.gate.weight"] = state[f"{dense}.wi_0.weight"]
            if side == "decoder":
                cross = f"{theirs}.1.EncDecAttention"
                weights |= {
                    f"{mine}.cross_attention.query.weight": state[f"{cross}.q.weight"],
                    f"{mine}.cross_attention.key_value.weight": fused(state, [f"{cross}.{p}.weight" for p in "kv"]),
                    f"{mine}.cross_attention.output.weight": state[f"{cross}.o.weight"],
                    f"{mine}.cross_attention_residual.before.weight": state[f"{theirs}.1.layer_norm.weight"],
                }
    return weights


def bart(state: State, learned: bool, final: bool) -> State:
    """BART's weights and, with their own positions and final norms, PEGASUS's."""
    norm = "before" if final else "after"
    weights = {
        "embedding.parts.word.table.weight": state["model.shared.weight"],
        "targets.lm.output.bias": state["final_logits_bias"][0],
    }
    for side, embedding in (("encoder", "embedding"), ("decoder", "target_embedding")):
        if learned:
            weights[f"{embedding}.parts.pos.table.weight"] = state[f"model.{side}.embed_positions.weight"]
        for kind in ("weight", "bias"):
            if final:
                weights[f"{side}.norm.{kind}"] = state[f"model.{side}.layer_norm.{kind}"]
            else:
                weights[f"{embedding}.norm.{kind}"] = state[f"model.{side}.layernorm_embedding.{kind}"]
            for number in range(2):
                theirs, mine = f"model.{side}.layers.{number}", f"{side}.layers.{number}"
                own, cross = f"{theirs}.self_attn", f"{theirs}.encoder_attn"
                weights |= {
                    f"{mine}.mixer.qkv.{kind}": fused(state, [f"{own}.{part}_proj.{kind}" for part in "qkv"]),
                    f"{mine}.mixer.output.{kind}": state[f"{own}.out_proj.{kind}"],
                    f"{mine}.mixer_residual.{norm}.{kind}": state[f"{theirs}.self_attn_layer_norm.{kind}"],
                    f"{mine}.feed_forward.input.{kind}": state[f"{theirs}.fc1.{kind}"],
                    f"{mine}.feed_forward.output.{kind}": state[f"{theirs}.fc2.{kind}"],
                    f"{mine}.feed_forward_residual.{norm}.{kind}": state[f"{theirs}.final_layer_norm.{kind}"],
                }
                if side == "decoder":
                    both = [f"{cross}.{part}_proj.{kind}" for part in "kv"]
                    weights |= {
                        f"{mine}.cross_attention.query.{kind}": state[f"{cross}.q_proj.{kind}"],
                        f"{mine}.cross_attention.key_value.{kind}": fused(state, both),
                        f"{mine}.cross_attention.output.{kind}": state[f"{cross}.out_proj.{kind}"],
                        f"{mine}.cross_attention_residual.{norm}.{kind}": state[
                            f"{theirs}.encoder_attn_layer_norm.{kind}"
                        ],
                    }
    return weights


@torch.no_grad()
def check_model(model: Model, theirs: Any, lengths: list[int], target_lengths: list[int], record: Record) -> None:
    """States of both sides and scores, with padding on both; then the loss; then step by step."""
    mask, target_mask = mask_of(lengths, max(lengths)), mask_of(target_lengths, max(target_lengths))
    source, target = tokens(*mask.shape, high=VOCABULARY), tokens(*target_mask.shape, high=VOCABULARY, seed=3)
    _, labels = next_labels(target, target_mask)
    given = {"input_ids": source, "attention_mask": mask}
    right = {"decoder_input_ids": target, "decoder_attention_mask": target_mask}
    output = theirs(**given, **right, labels=labels, output_hidden_states=True, use_cache=False)
    batch = Batch.of(
        given, len(lengths), {"input_ids": target, "attention_mask": target_mask}, {"lm": {"labels": labels}}
    )
    features = model.encode(batch)
    lm: Any = model.targets["lm"]
    logits = lm.token_logits(features.sequence.states)
    real = target_mask.bool()
    assert features.memory is not None
    memory = features.memory.states[mask.bool()]
    check(
        record,
        memory=(memory, output.encoder_last_hidden_state[mask.bool()]),
        states=(features.sequence.states[real], output.decoder_hidden_states[-1][real]),
        logits=(logits[real], output.logits[real]),
    )
    if bool((labels >= 0).any()):
        check(record, loss=(model(batch).loss, output.loss))
    kv_cache, steps = KVCache(), []
    for place in range(target.shape[1]):
        now = {name: value[:, place : place + 1] for name, value in (batch.target or {}).items()}
        found = model.encode(Batch(batch.source, batch.size, now), kv_cache)
        steps.append(lm.token_logits(found.sequence.states))
        if bool(real[:, place].all()):
            assert worst(lm.next_logits(found), output.logits[:, place]) < TOLERANCE
    assert worst(torch.cat(steps, dim=1)[real], output.logits[real]) < TOLERANCE


@pytest.mark.parametrize(("lengths", "target_lengths"), SHAPES)
@pytest.mark.parametrize(("gated", "tied"), [(False, True), (True, False)], ids=["t5", "t5-v1.1"])
def test_t5(
    tmp_path: Path, record_property: Record, gated: bool, tied: bool, lengths: list[int], target_lengths: list[int]
) -> None:
    theirs = reference(
        "T5ForConditionalGeneration",
        {
            "d_model": 24,
            "d_kv": 8,
            "d_ff": 40,
            "num_layers": 2,
            "num_heads": HEADS,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 6,
            "feed_forward_proj": "gated-gelu" if gated else "relu",
            "tie_word_embeddings": tied,
        },
    )
    positions = {"relative": {"buckets": 8, "max_distance": 6}}
    activation = "gelu_tanh" if gated else "relu"
    transformer = {
        "num_layers": 2,
        "num_heads": HEADS,
        "feed_forward_size": 40,
        "mixer": {"attention": {"head_size": 8, "positions": positions, "scale": 1.0, "bias": False}},
        "feed_forward": {"gated" if gated else "dense": {"activation": activation, "bias": False}},
        "norm": "rmsnorm",
        "norm_position": "pre",
    }
    embedding = {"modules": ["word"], "norm": "none"}
    model = ours(
        tmp_path,
        {
            "hidden_size": 24,
            "share_embeddings": True,
            "embedding": embedding,
            "encoder": {"transformer": transformer},
            "target_embedding": embedding,
            "decoder": {"transformer": transformer},
            "target": {"lm": {"tie": tied, "tied_scale": tied}},
        },
        t5(theirs.state_dict(), gated, tied),
    )
    check_model(model, theirs, lengths, target_lengths, record_property)


@pytest.mark.parametrize(("lengths", "target_lengths"), SHAPES)
@pytest.mark.parametrize("kind", ["Bart", "Pegasus"])
def test_bart_and_pegasus(
    tmp_path: Path, record_property: Record, kind: str, lengths: list[int], target_lengths: list[int]
) -> None:
    sizes = {
        "d_model": 24,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 40,
        "max_position_embeddings": 16,
        "scale_embedding": kind == "Pegasus",
    }
    theirs = reference(f"{kind}ForConditionalGeneration", sizes)
    theirs.final_logits_bias.copy_(torch.linspace(-1, 1, VOCABULARY))
    pegasus = kind == "Pegasus"
    transformer = {
        "num_layers": 2,
        "num_heads": HEADS,
        "feed_forward_size": 40,
        "norm_position": "pre" if pegasus else "post",
    }
    positions = {"sinusoidal": {"layout": "halves"}} if pegasus else {"pos": {"max_length": 16, "offset": 2}}
    embedding: dict[str, Any] = {"modules": [{"word": {"scale": pegasus}}, positions]}
    if pegasus:
        embedding["norm"] = "none"
        # random weights must not stand in for the fixed sines
        for side in (theirs.model.encoder, theirs.model.decoder):
            side.embed_positions.weight.copy_(side.embed_positions.create_weight())
    model = ours(
        tmp_path,
        {
            "hidden_size": 24,
            "norm": {"layernorm": {"eps": 1e-5}},
            "share_embeddings": True,
            "embedding": embedding,
            "encoder": {"transformer": transformer},
            "target_embedding": embedding,
            "decoder": {"transformer": transformer},
            "target": {"lm": {"bias": True}},
        },
        bart(theirs.state_dict(), learned=not pegasus, final=pegasus),
    )
    check_model(model, theirs, lengths, target_lengths, record_property)
