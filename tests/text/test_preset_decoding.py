"""Every preset of a model that writes reads a text piece by piece as it reads it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.building import mask_of, randomised, tokens, worst
from tp_core import Batch, Model, build_model, discovery, load_spec
from tp_core.interfaces import KVCache
from tp_core.options.ports import CAUSAL
from tp_core.spec.choices.module_nodes import placed
from tp_core.testing import random_batch

TOLERANCE = 1e-5
#: Sizes that replace a preset's own, wherever they are set.
SMALL = {
    "hidden_size": 24,
    "embedding_size": 24,
    "vocab_size": 41,
    "num_layers": 6,  # as many as the pattern of layers of Gemma 3 has
    "num_heads": 4,
    "num_key_value_heads": 2,
    "head_size": 6,
    "feed_forward_size": 32,
    "max_length": 32,
}
#: Pieces that a text of nine tokens is read in.
PIECES = [4, 1, 1, 3]


def shrunk(tree: Any) -> Any:
    if isinstance(tree, list):
        return [shrunk(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {k: SMALL[k] if k in SMALL and v is not None else shrunk(v) for k, v in tree.items()}


def writers() -> list[str]:
    """Names of the presets whose model has a language model over causal states."""
    found = []
    for entry in discovery.index().entries("presets"):
        spec = load_spec(entry.name)
        causal = any(CAUSAL in place.chosen.config.provides(place.context) for place in placed(spec))
        if causal and any(target.name == "lm" for target in spec.model.targets):
            found.append(entry.name)
    return found


def small(folder: Path, preset: str) -> Model:
    """The preset's model with small sizes and random weights."""
    file = folder / "spec.yaml"
    model = shrunk(load_spec(preset).dump()["model"])
    file.write_text(yaml.safe_dump({"tp": 1, "model": model}, sort_keys=False), encoding="utf-8")
    return randomised(build_model(load_spec(file)), std=0.3).eval()


def test_there_are_presets_of_all_kinds_of_models_that_write() -> None:
    assert {"gpt2", "llama-7b", "mistral-7b", "bloom-560m", "gatedcnn", "unilm-base"} <= set(writers())
    assert {"t5-small", "t5-v1.1-small", "bart-base", "pegasus-base", "transformer-base", "cove"} <= set(writers())


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("preset", writers())
@torch.no_grad()
def test_incremental_decoding_equals_full_decoding(tmp_path: Path, preset: str, padding: str) -> None:
    model = small(tmp_path, preset)
    target: Any = model.targets["lm"]
    width, lengths = sum(PIECES), [4, 1, 3]
    mask = torch.ones(3, width, dtype=torch.long)
    mask[:, :4] = mask_of(lengths, 4, left=padding == "left")
    ids, types = tokens(3, width), torch.zeros(3, width, dtype=torch.long)
    source_mask = mask_of([6, 2, 5], 6, left=padding == "right")
    source: Any = {"input_ids": tokens(3, 6, seed=1), "attention_mask": source_mask}
    if model.decoder is not None and "input_ids" not in model.fields().source[""]:  # a model that reads no text
        source = random_batch(model, [24, 9, 20]).inputs

    def batch(inputs: dict[str, Any], rows: slice) -> Batch:
        if model.decoder is None:
            return Batch.of(inputs, len(inputs["input_ids"]))
        return Batch.of({n: v[rows] for n, v in source.items()}, len(inputs["input_ids"]), inputs)

    kv_cache, found, start = KVCache(), [], 0
    for size in PIECES:
        place = slice(start, start + size)
        inputs = {"input_ids": ids[:, place], "token_type_ids": types[:, place]}
        if start == 0:
            inputs["attention_mask"] = mask[:, place]
        features = model.encode(batch(inputs, slice(None)), kv_cache)
        found.append(target.token_logits(features.sequence.states))
        start += size
    stepwise = torch.cat(found, dim=1)
    for row in range(3):
        real = mask[row].bool()
        inputs = {"input_ids": ids[row][real][None], "token_type_ids": types[row][real][None]}
        whole = model.encode(batch(inputs, slice(row, row + 1)))
        expected = target.token_logits(whole.sequence.states)[0]
        # As a part of the largest logit: T5 v1.1's, neither scaled nor tied, are far above 1 with these weights.
        assert worst(stepwise[row][real], expected) < TOLERANCE * max(1.0, expected.abs().max().item())
