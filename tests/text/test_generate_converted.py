"""Converted causal models write what they write in transformers, piece by piece with a cache, padded on either side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tp_core
from tests.building import mask_of, tokens
from tests.text.checkpoints import CASES, VOCABULARY, Case, make
from tp_core import Batch, GenerationTokens, load_model
from tp_core.generation.search import most_probable, write
from tp_core.generation.stepper import ModelStepper

LENGTHS = [7, 2, 4, 1, 5]
NEW = 10
CAUSAL = [case for case in CASES if case.kind == "lm"]


@pytest.mark.parametrize("case", CAUSAL, ids=str)
def test_a_converted_model_writes_the_same_texts(case: Case, tmp_path: Path) -> None:
    theirs = make(case, 24, 4, 3, seed=1)
    theirs.save_pretrained(tmp_path / "theirs")
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    model = load_model(tmp_path / "ours").model
    width = max(LENGTHS)
    ids, mask = tokens(len(LENGTHS), width, high=VOCABULARY), mask_of(LENGTHS, width)
    left = torch.stack([row.roll(-length) for row, length in zip(ids, LENGTHS)])
    inputs = {True: (left, mask_of(LENGTHS, width, True)), False: (ids, mask)}
    with torch.inference_mode():
        given = {"input_ids": inputs[True][0], "attention_mask": inputs[True][1]}
        theirs.generation_config.eos_token_id = None  # no text ends
        output = theirs.generate(**given, max_new_tokens=NEW, pad_token_id=0, do_sample=False)
        expected = output[:, width:].tolist()
        assert len({tuple(text) for text in expected}) > 1
        for padding, (words, real) in inputs.items():
            if padding and not case.left:
                continue
            batch = Batch.of({"input_ids": words * real, "attention_mask": real}, len(LENGTHS))
            target: Any = model.targets["lm"]
            stepper = ModelStepper(model, target, batch, GenerationTokens((), ()))
            found = [text.ids for text in write(stepper, [NEW] * len(LENGTHS), (), most_probable)]
            assert found == expected, f"padding on the {'left' if padding else 'right'}"
