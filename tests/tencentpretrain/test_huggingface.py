"""The second step of the way: models of the original, converted to tp, go on to transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tp_core
from tests.tencentpretrain import original
from tests.tencentpretrain.inputs import drawn
from tests.tencentpretrain.shapes import SHAPES
from tests.tencentpretrain.test_shapes import convert, write
from tp_core import TPError

#: Shapes → the class in transformers, and how far its states may be from the original's, relative to the largest.
CLASSES = {
    "bert": ("BertForPreTraining", 2e-5),
    "roberta": ("BertForMaskedLM", 2e-5),
    "albert": ("AlbertForPreTraining", 2e-5),
    "gpt2": ("GPT2LMHeadModel", 2e-5),
    "llama": ("LlamaForCausalLM", 1e-5),
    "llama2 70b": ("LlamaForCausalLM", 1e-5),
    "t5": ("T5ForConditionalGeneration", 1e-5),
    "t5 v1.1": ("T5ForConditionalGeneration", 1e-5),
    "bart": ("BartForConditionalGeneration", 2e-4),  # whose epsilon is 1e-5 and cannot be chosen
    "vit": ("ViTModel", 2e-5),
    "s2t": ("Speech2TextForConditionalGeneration", 2e-4),
}
EXACT = {"llama", "llama2 70b", "t5", "t5 v1.1"}


def exported(folder: Path, shape: str, **options: Any) -> tuple[dict[str, torch.Tensor], Path, list[str]]:
    tensors = write(folder, SHAPES[shape])
    ours, _ = convert(folder)
    said: list[str] = []
    kind = {"model_type": "llama"} if "llama" in shape else {}
    place = tp_core.convert("tp", ours, "huggingface", folder / "theirs", say=said.append, **kind, **options)
    return tensors, place, said


@pytest.mark.parametrize("shape", CLASSES)
def test_transformers_computes_what_the_original_computes(shape: str, tmp_path: Path) -> None:
    import transformers

    name, tolerance = CLASSES[shape]
    bare = {"architecture": name} if name == "ViTModel" else {}
    approximate = {} if shape in EXACT else {"approximate": True}
    tensors, folder, said = exported(tmp_path, shape, **bare, **approximate)
    assert any("the final states of a random batch change by up to" in note for note in said) == (shape not in EXACT)
    model = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").eval()
    given = drawn(SHAPES[shape], partial=False)
    source = given.ours.source[""]
    inputs: dict[str, Any] = {
        key: source[key] for key in ("input_ids", "input_features", "pixel_values") if key in source
    }
    if "attention_mask" in source:
        inputs["attention_mask"] = source["attention_mask"].long()
    if "seg" in SHAPES[shape]["embedding"]:
        inputs["token_type_ids"] = source["token_type_ids"]
    if given.ours.target is not None:
        inputs["decoder_input_ids"] = given.ours.target["input_ids"]
    with torch.no_grad():
        found = model(**inputs, output_hidden_states=True)
        expected = original.features(tensors, SHAPES[shape], **given.theirs)
    hidden = found.get("decoder_hidden_states") or found.get("hidden_states")
    states = found.last_hidden_state if name == "ViTModel" else hidden[-1]
    states, expected = states[given.real > 0], expected[given.real > 0]
    assert (states - expected).abs().max() <= tolerance * expected.abs().max()


def test_a_model_that_transformers_lacks_is_refused_with_the_difference(tmp_path: Path) -> None:
    with pytest.raises(TPError, match=r"change by up to \d\.\de-0\d .*; --approximate writes this model") as caught:
        exported(tmp_path, "bert")
    assert "transformers does not have the module of model.embedding.norm" in str(caught.value)
    assert not (tmp_path / "theirs").exists()


def test_an_architecture_that_does_not_exist_there_stays_refused(tmp_path: Path) -> None:
    with pytest.raises(TPError, match="the model is of no architecture that can be converted"):
        exported(tmp_path, "gatedcnn", approximate=True)
