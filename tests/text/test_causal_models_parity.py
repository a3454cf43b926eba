"""Causal models built from specs compute what those of ``transformers`` compute."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.building import mask_of, positions_of
from tests.text import hf_weights
from tests.text.parity import (
    Record,
    check_language_model,
    ours,
    reference,
)

pytest.importorskip("transformers")

#: (real lengths of the samples, hidden size, heads, layers)
SHAPES = [
    ([9, 4, 1], 24, 4, 2),
    ([1], 16, 2, 1),
    ([21, 21, 13, 20], 48, 6, 3),
]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES)
def test_gpt2_lm_head(
    tmp_path: Path,
    record_property: Record,
    lengths: list[int],
    hidden: int,
    heads: int,
    layers: int,
    left: bool,
) -> None:
    config = {"n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": 32}
    theirs = reference("GPT2LMHeadModel", config)
    model = ours(
        tmp_path,
        {
            "hidden_size": hidden,
            "norm": {"layernorm": {"eps": 1e-5}},
            "embedding": {"modules": ["word", {"pos": {"max_length": 32}}], "norm": "none"},
            "encoder": {
                "transformer": {
                    "num_layers": layers,
                    "num_heads": heads,
                    "mask": "causal",
                    "norm_position": "pre",
                    "feed_forward": {"dense": {"activation": "gelu_tanh"}},
                }
            },
            "target": "lm",
        },
        hf_weights.gpt2(theirs.state_dict(), heads),
    )
    mask = mask_of(lengths, max(lengths), left)
    positions = positions_of(mask)
    check_language_model(model, theirs, mask, record_property, position_ids=positions)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(("groups", "theta"), [(1, 10000.0), (2, 500.0), (6, 10000.0)])
def test_llama_for_causal_lm(tmp_path: Path, record_property: Record, groups: int, theta: float, left: bool) -> None:
    theirs = reference(
        "LlamaForCausalLM",
        {
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 6,
            "num_key_value_heads": groups,
            "intermediate_size": 40,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        },
    )
    model = ours(
        tmp_path,
        {
            "hidden_size": 48,
            "embedding": {"modules": ["word"], "norm": "none"},
            "encoder": {
                "transformer": {
                    "num_layers": 2,
                    "num_heads": 6,
                    "feed_forward_size": 40,
                    "mask": "causal",
                    "mixer": {
                        "attention": {
                            "num_key_value_heads": groups,
                            "positions": {"rotary": {"theta": theta}},
                            "bias": False,
                        }
                    },
                    "feed_forward": {"gated": {"activation": "silu", "bias": False}},
                    "norm": "rmsnorm",
                    "norm_position": "pre",
                }
            },
            "target": {"lm": {"tie": False}},
        },
        hf_weights.llama(theirs.state_dict(), groups),
    )
    mask = mask_of([11, 5, 1], 11, left)
    check_language_model(model, theirs, mask, record_property, position_ids=positions_of(mask))


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES)
def test_bloom_for_causal_lm(
    tmp_path: Path,
    record_property: Record,
    lengths: list[int],
    hidden: int,
    heads: int,
    layers: int,
    left: bool,
) -> None:
    theirs = reference("BloomForCausalLM", {"hidden_size": hidden, "n_layer": layers, "n_head": heads})
    model = ours(
        tmp_path,
        {
            "hidden_size": hidden,
            "norm": {"layernorm": {"eps": 1e-5}},
            "embedding": ["word"],
            "encoder": {
                "transformer": {
                    "num_layers": layers,
                    "num_heads": heads,
                    "mask": "causal",
                    "norm_position": "pre",
                    "mixer": {"attention": {"positions": "alibi"}},
                    "feed_forward": {"dense": {"activation": "gelu_tanh"}},
                }
            },
            "target": "lm",
        },
        hf_weights.bloom(theirs.state_dict()),
    )
    check_language_model(model, theirs, mask_of(lengths, max(lengths), left), record_property)
