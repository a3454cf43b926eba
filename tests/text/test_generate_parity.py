"""Greedy and beam search write what ``generate`` of ``transformers`` writes with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import mask_of, tokens
from tests.text import hf_weights
from tests.text.parity import VOCABULARY, ours, reference
from tests.text.test_decoder_parity import t5
from tp_core import Batch, Model
from tp_core.generation.search import beam_search, most_probable, write
from tp_core.generation.stepper import ModelStepper
from tp_core.interfaces import GenerationTokens

pytest.importorskip("transformers")

LENGTHS = [7, 2, 4, 1, 5]
NEW = 12
#: A token that some texts end with and others do not.
END = 18


def gpt2(folder: Path) -> tuple[Model, Any]:
    theirs = reference("GPT2LMHeadModel", {"n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 32})
    transformer = {
        "num_layers": 2,
        "num_heads": 4,
        "mask": "causal",
        "norm_position": "pre",
        "norm": {"layernorm": {"eps": 1e-5}},
        "feed_forward": {"dense": {"activation": "gelu_tanh"}},
    }
    model = {
        "hidden_size": 24,
        "embedding": {"modules": ["word", {"pos": {"max_length": 32}}], "norm": "none"},
        "encoder": {"transformer": transformer},
        "target": "lm",
    }
    return ours(folder, model, hf_weights.gpt2(theirs.state_dict(), heads=4)), theirs


def encoder_decoder(folder: Path) -> tuple[Model, Any]:
    sizes = {"d_model": 24, "d_kv": 6, "d_ff": 40, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
    theirs = reference("T5ForConditionalGeneration", sizes | {"feed_forward_proj": "gated-gelu"})
    transformer = {
        "num_layers": 2,
        "num_heads": 4,
        "feed_forward_size": 40,
        "mixer": {"attention": {"positions": "relative", "scale": 1.0, "bias": False}},
        "feed_forward": {"gated": {"activation": "gelu_tanh", "bias": False}},
        "norm": "rmsnorm",
        "norm_position": "pre",
    }
    embedding = {"modules": ["word"], "norm": "none"}
    model = {
        "hidden_size": 24,
        "share_embeddings": True,
        "embedding": embedding,
        "encoder": {"transformer": transformer},
        "target_embedding": embedding,
        "decoder": {"transformer": transformer},
        "target": {"lm": {"tied_scale": True}},
    }
    return ours(folder, model, t5(theirs.state_dict(), gated=True, tied=True)), theirs


def written(rows: Tensor, start: int, end: int) -> list[list[int]]:
    """The tokens that their model wrote behind the first ``start`` ones, up to the end token."""
    texts = [row[start:] for row in rows.tolist()]
    return [text[: text.index(end)] if end in text else text for text in texts]


def prompts(left: bool) -> dict[str, Tensor]:
    """The same texts, padded on either side."""
    ids, mask = tokens(len(LENGTHS), max(LENGTHS), high=VOCABULARY), mask_of(LENGTHS, max(LENGTHS), left)
    if left:
        ids = torch.stack([row.roll(-length) for row, length in zip(ids, LENGTHS)])
    return {"input_ids": ids * mask, "attention_mask": mask}


def ours_write(model: Model, given: dict[str, Tensor], start: int, end: int, search: dict[str, Any]) -> list[list[int]]:
    target: Any = model.targets["lm"]
    stepper = ModelStepper(model, target, Batch.of(dict(given), len(LENGTHS)), GenerationTokens((0,) * start, (end,)))
    limits, beams = [NEW] * len(LENGTHS), search.get("num_beams", 1)
    if beams == 1:
        return [text.ids for text in write(stepper, limits, (end,), most_probable)]
    found = beam_search(stepper, limits, (end,), beams, search.get("length_penalty", 1.0))
    return [text.ids for text in found]


@torch.inference_mode()
def check(model: Model, theirs: Any, start: int, end: int, search: dict[str, Any]) -> None:
    given = prompts(left=start == 0)
    output = theirs.generate(**given, max_new_tokens=NEW, eos_token_id=end, pad_token_id=0, do_sample=False, **search)
    expected = written(output, start or max(LENGTHS), end)
    # The test would be weak if nothing ended, or everything at once.
    assert len({len(text) for text in expected}) > 1
    for left in (True, False):
        assert ours_write(model, prompts(left), start, end, search) == expected


SEARCHES = [
    {},
    {"num_beams": 3},
    {"num_beams": 3, "length_penalty": 0.0},
    {"num_beams": 2, "length_penalty": 2.0},
    {"num_beams": 5, "length_penalty": 0.6},
]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_causal_model_writes_the_same(tmp_path: Path, search: dict[str, Any]) -> None:
    model, theirs = gpt2(tmp_path)
    with torch.no_grad():  # ends have to be probable to be seen
        theirs.transformer.wte.weight[0] *= 2
    model.load_weights(hf_weights.gpt2(theirs.state_dict(), heads=4))
    check(model, theirs, 0, 0, search)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_an_encoder_decoder_model_writes_the_same(tmp_path: Path, search: dict[str, Any]) -> None:
    model, theirs = encoder_decoder(tmp_path)
    with torch.no_grad():  # otherwise each text repeats one token
        for name, weight in theirs.decoder.named_parameters():
            weight *= 2 if "Attention" in name else 3 if "Dense" in name else 4 if "final" in name else 1
    model.load_weights(t5(theirs.state_dict(), gated=True, tied=True))
    check(model, theirs, 1, END, search)
