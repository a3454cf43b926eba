"""Weights of Hugging Face models under our names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

State = Mapping[str, Tensor]
Weights = dict[str, Tensor]


def _renamed(state: State, names: Mapping[str, str]) -> Weights:
    """Weights and, where there are any, biases of layers, theirs → ours."""
    found = {}
    for theirs, ours in names.items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" in state:
                found[f"{ours}.{kind}"] = state[f"{theirs}.{kind}"]
    return found


def by_group(parts: Sequence[Tensor], groups: int) -> Tensor:
    """Rows of several projections as one: those of the first group of each, then of the second, and so on."""
    each = [part.chunk(groups) for part in parts]
    return torch.cat([chunks[group] for group in range(groups) for chunks in each])


def _fused(state: State, layers: list[str], ours: str, groups: int) -> Weights:
    """Query, key and value projections as one."""
    kinds = ["weight", *(["bias"] if f"{layers[0]}.bias" in state else [])]
    return {f"{ours}.{kind}": by_group([state[f"{name}.{kind}"] for name in layers], groups) for kind in kinds}


def _layers(state: State, prefix: str) -> Iterator[tuple[str, str]]:
    number = 0
    while any(name.startswith(f"{prefix}.{number}.") for name in state):
        yield f"{prefix}.{number}", f"encoder.layers.{number}"
        number += 1


def _bert_layer(state: State, theirs: str, ours: str, heads: int) -> Weights:
    projections = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
    return _fused(state, projections, f"{ours}.mixer.qkv", heads) | _renamed(
        state,
        {
            f"{theirs}.attention.output.dense": f"{ours}.mixer.output",
            f"{theirs}.attention.output.LayerNorm": f"{ours}.mixer_residual.after",
            f"{theirs}.intermediate.dense": f"{ours}.feed_forward.input",
            f"{theirs}.output.dense": f"{ours}.feed_forward.output",
            f"{theirs}.output.LayerNorm": f"{ours}.feed_forward_residual.after",
        },
    )


def bert(state: State, heads: int) -> Weights:
    names = {
        "bert.embeddings.word_embeddings": "embedding.parts.word.table",
        "bert.embeddings.position_embeddings": "embedding.parts.pos.table",
        "bert.embeddings.token_type_embeddings": "embedding.parts.seg.table",
        "bert.embeddings.LayerNorm": "embedding.norm",
        "cls.predictions.transform.dense": "targets.mlm.dense",
        "cls.predictions.transform.LayerNorm": "targets.mlm.norm",
        "bert.pooler.dense": "targets.sp.dense",
        "cls.seq_relationship": "targets.sp.classifier",
    }
    weights = _renamed(state, names) | {"targets.mlm.output.bias": state["cls.predictions.bias"]}
    for theirs, ours in _layers(state, "bert.encoder.layer"):
        weights |= _bert_layer(state, theirs, ours, heads)
    return weights


def roberta(state: State, heads: int) -> Weights:
    names = {
        "roberta.embeddings.word_embeddings": "embedding.parts.word.table",
        "roberta.embeddings.LayerNorm": "embedding.norm",
        "lm_head.dense": "targets.mlm.dense",
        "lm_head.layer_norm": "targets.mlm.norm",
    }
    # All tokens have the one token type: its vector is a part of every position's.
    positions = state["roberta.embeddings.position_embeddings.weight"]
    weights = _renamed(state, names) | {
        "embedding.parts.pos.table.weight": positions + state["roberta.embeddings.token_type_embeddings.weight"],
        "targets.mlm.output.bias": state["lm_head.bias"],
    }
    for theirs, ours in _layers(state, "roberta.encoder.layer"):
        weights |= _bert_layer(state, theirs, ours, heads)
    return weights


def gpt2(state: State, heads: int) -> Weights:
    names = {
        "transformer.wte": "embedding.parts.word.table",
        "transformer.wpe": "embedding.parts.pos.table",
        "transformer.ln_f": "encoder.norm",
    }
    weights = _renamed(state, names)
    for theirs, ours in _layers(state, "transformer.h"):
        weights |= _renamed(
            state,
            {
                f"{theirs}.ln_1": f"{ours}.mixer_residual.before",
                f"{theirs}.ln_2": f"{ours}.feed_forward_residual.before",
            },
        )
        convolutions = {
            "attn.c_attn": "mixer.qkv",
            "attn.c_proj": "mixer.output",
            "mlp.c_fc": "feed_forward.input",
            "mlp.c_proj": "feed_forward.output",
        }
        for before, after in convolutions.items():  # their matrices stand the other way round
            weights[f"{ours}.{after}.weight"] = state[f"{theirs}.{before}.weight"].T
            weights[f"{ours}.{after}.bias"] = state[f"{theirs}.{before}.bias"]
        for kind in ("weight", "bias"):
            fused = weights[f"{ours}.mixer.qkv.{kind}"]
            weights[f"{ours}.mixer.qkv.{kind}"] = by_group(fused.chunk(3), heads)
    return weights


def albert(state: State, heads: int) -> Weights:
    theirs, ours = "albert.encoder.albert_layer_groups.0.albert_layers.0", "encoder.layers.0"
    names = {
        "albert.embeddings.word_embeddings": "embedding.parts.word.table",
        "albert.embeddings.position_embeddings": "embedding.parts.pos.table",
        "albert.embeddings.token_type_embeddings": "embedding.parts.seg.table",
        "albert.embeddings.LayerNorm": "embedding.norm",
        "albert.encoder.embedding_hidden_mapping_in": "encoder.projection",
        f"{theirs}.attention.dense": f"{ours}.mixer.output",
        f"{theirs}.attention.LayerNorm": f"{ours}.mixer_residual.after",
        f"{theirs}.ffn": f"{ours}.feed_forward.input",
        f"{theirs}.ffn_output": f"{ours}.feed_forward.output",
        f"{theirs}.full_layer_layer_norm": f"{ours}.feed_forward_residual.after",
        "albert.pooler": "targets.sp.dense",
        "sop_classifier.classifier": "targets.sp.classifier",
        "predictions.dense": "targets.mlm.dense",
        "predictions.LayerNorm": "targets.mlm.norm",
    }
    parts = [f"{theirs}.attention.{part}" for part in ("query", "key", "value")]
    biases = {"targets.mlm.output.bias": state["predictions.bias"]}
    return _renamed(state, names) | _fused(state, parts, f"{ours}.mixer.qkv", heads) | biases


def llama(state: State, groups: int) -> Weights:
    names = {
        "model.embed_tokens": "embedding.parts.word.table",
        "model.norm": "encoder.norm",
        "lm_head": "targets.lm.output",
    }
    for theirs, ours in _layers(state, "model.layers"):
        names |= {
            f"{theirs}.self_attn.o_proj": f"{ours}.mixer.output",
            f"{theirs}.input_layernorm": f"{ours}.mixer_residual.before",
            f"{theirs}.post_attention_layernorm": f"{ours}.feed_forward_residual.before",
            f"{theirs}.mlp.gate_proj": f"{ours}.feed_forward.gate",
            f"{theirs}.mlp.up_proj": f"{ours}.feed_forward.input",
            f"{theirs}.mlp.down_proj": f"{ours}.feed_forward.output",
        }
    weights = _renamed(state, names)
    for theirs, ours in _layers(state, "model.layers"):
        parts = [f"{theirs}.self_attn.{part}_proj" for part in "qkv"]
        weights |= _fused(state, parts, f"{ours}.mixer.qkv", groups)
    return weights


def bloom(state: State) -> Weights:
    names = {
        "transformer.word_embeddings": "embedding.parts.word.table",
        "transformer.word_embeddings_layernorm": "embedding.norm",
        "transformer.ln_f": "encoder.norm",
    }
    for theirs, ours in _layers(state, "transformer.h"):
        names |= {
            f"{theirs}.self_attention.query_key_value": f"{ours}.mixer.qkv",
            f"{theirs}.input_layernorm": f"{ours}.mixer_residual.before",
            f"{theirs}.post_attention_layernorm": f"{ours}.feed_forward_residual.before",
            f"{theirs}.self_attention.dense": f"{ours}.mixer.output",
            f"{theirs}.mlp.dense_h_to_4h": f"{ours}.feed_forward.input",
            f"{theirs}.mlp.dense_4h_to_h": f"{ours}.feed_forward.output",
        }
    return _renamed(state, names)


def t5_encoder(state: State, gated: bool, heads: int) -> Weights:
    bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"
    names = {
        "shared": "embedding.parts.word.table",
        "encoder.final_layer_norm": "encoder.norm",
        bias: "encoder.shared.0.bias",
    }
    weights: Weights = {}
    for theirs, ours in _layers(state, "encoder.block"):
        inner, dense = f"{theirs}.layer.0.SelfAttention", f"{theirs}.layer.1.DenseReluDense"
        first = {f"{dense}.wi_0": "gate", f"{dense}.wi_1": "input"} if gated else {f"{dense}.wi": "input"}
        names |= {name: f"{ours}.feed_forward.{part}" for name, part in first.items()}
        names |= {
            f"{dense}.wo": f"{ours}.feed_forward.output",
            f"{inner}.o": f"{ours}.mixer.output",
            f"{theirs}.layer.0.layer_norm": f"{ours}.mixer_residual.before",
            f"{theirs}.layer.1.layer_norm": f"{ours}.feed_forward_residual.before",
        }
        weights |= _fused(state, [f"{inner}.{part}" for part in "qkv"], f"{ours}.mixer.qkv", heads)
    return weights | _renamed(state, names)
