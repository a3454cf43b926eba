"""Layers whose parts work side by side compute what those of GPT-J and Phi do in transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import mask_of, randomised, tokens, worst
from tp_core import Batch, build_model, load_spec

HEADS, SIZE, LAYERS, WORDS = 4, 32, 2, 37
LENGTHS = [9, 4, 1]

#: Names of parts of a layer: ours → those of the two.
GPTJ = {
    "mixer_residual.before": "ln_1",
    "mixer.output": "attn.out_proj",
    "feed_forward.input": "mlp.fc_in",
    "feed_forward.output": "mlp.fc_out",
}
PHI = {
    "mixer_residual.before": "input_layernorm",
    "mixer.output": "self_attn.dense",
    "feed_forward.input": "mlp.fc1",
    "feed_forward.output": "mlp.fc2",
}


def gptj() -> tuple[Any, dict[str, Any], dict[str, str], str, str, str]:
    from transformers import GPTJConfig, GPTJModel

    config = GPTJConfig(vocab_size=WORDS, n_embd=SIZE, n_layer=LAYERS, n_head=HEADS, rotary_dim=4, n_positions=32)
    attention = {"bias": False, "positions": {"rotary": {"fraction": 0.5, "interleaved": True}}}
    return GPTJModel(config), attention, GPTJ, "wte", "h.{}.attn", "ln_f"


def phi() -> tuple[Any, dict[str, Any], dict[str, str], str, str, str]:
    from transformers import PhiConfig, PhiModel

    sizes = {"hidden_size": SIZE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 48}
    config = PhiConfig(vocab_size=WORDS, **sizes, partial_rotary_factor=0.5, pad_token_id=0)
    attention = {"positions": {"rotary": {"fraction": 0.5}}}
    return PhiModel(config), attention, PHI, "embed_tokens", "layers.{}.self_attn", "final_layernorm"


def by_head(parts: list[Tensor]) -> Tensor:
    """Projections of queries, keys and values as ours: the rows stand by head."""
    return torch.cat([part.view(HEADS, -1, *part.shape[1:]) for part in parts], dim=1).flatten(0, 1)


@pytest.mark.parametrize("make", [gptj, phi])
def test_features_are_those_of_transformers(make: Any) -> None:
    theirs, attention, names, words, projections, final = make()
    theirs = randomised(theirs, 0, std=0.15).eval()
    state = theirs.state_dict()
    inner = state[f"{projections.format(0).rpartition('.')[0]}.{names['feed_forward.input']}.weight"].shape[0]
    layers = {
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "feed_forward_size": inner,
        "mask": "causal",
        "norm": {"layernorm": {"eps": 1e-5}},
        "norm_position": "pre",
        "parallel": True,
        "mixer": {"attention": attention},
        "feed_forward": {"dense": {"activation": "gelu_tanh"}},
    }
    parts = {"embedding": {"modules": ["word"], "norm": "none"}, "encoder": {"transformer": layers}, "target": []}
    model = build_model(load_spec({"model": {"hidden_size": SIZE, "vocab_size": WORDS, **parts}})).eval()
    ours = {"embedding.parts.word.table.weight": state[f"{words}.weight"]}
    ours |= {f"encoder.norm.{each}": state[f"{final}.{each}"] for each in ("weight", "bias")}
    for number in range(LAYERS):
        place = projections.format(number)
        for each in ("weight", "bias"):
            fused = [state[f"{place}.{part}_proj.{each}"] for part in "qkv" if f"{place}.{part}_proj.{each}" in state]
            if fused:
                ours[f"encoder.layers.{number}.mixer.qkv.{each}"] = by_head(fused)
            for name, other in names.items():
                key = f"{place.rpartition('.')[0]}.{other}.{each}"
                if key in state:
                    ours[f"encoder.layers.{number}.{name}.{each}"] = state[key]
    model.load_state_dict(ours)  # all of both
    ids, mask = tokens(len(LENGTHS), 9, high=WORDS), mask_of(LENGTHS, 9)
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        found = model.encode(Batch.of({"input_ids": ids, "attention_mask": mask}, len(ids))).sequence.states
    assert worst(found, expected, mask) < 1e-5
