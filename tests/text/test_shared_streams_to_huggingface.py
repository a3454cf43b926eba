"""SimCSE, SBERT and other models of two texts and one encoder are written as the body that they trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tp_core
from tests.building import mask_of, randomised, tokens, worst
from tp_core import TPError, load_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.interfaces import Batch

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

LAYERS = {"num_layers": 2, "num_heads": 4}
CLR = {"clr": {"temperature": 0.05, "learned_temperature": False, "symmetric": False}}
CLS = {"cls": {"num_labels": 3, "hidden_layer": False}}
BERT: list[Any] = ["word", {"pos": {"max_length": 32}}, "seg"]
ROBERTA: list[Any] = ["word", {"pos": {"max_length": 32, "offset": 2}}]


def exported(folder: Path, modules: list[Any], target: dict[str, Any], second: Any = "first", **more: Any) -> Path:
    """A model of two streams with random weights."""
    stream: dict[str, Any] = {"embedding": modules, "encoder": {"transformer": {**LAYERS, **more}}}
    model = {
        "hidden_size": 24,
        "vocab_size": 37,
        "streams": {"first": {**stream, "pooling": "mean"}, "second": stream if second is None else second},
        "target": target,
    }
    (folder / "mine.yaml").write_text(yaml.dump({"tp": 1, "model": model}, sort_keys=False), encoding="utf-8")
    spec = load_spec(folder / "mine.yaml")
    return export_model(spec, randomised(tp_core.build_model(spec), std=0.15).weights(), {}, folder / "model")


def checked(folder: Path, ours: Path, architecture: str) -> None:
    """See that the body of transformers gives the states of our streams."""
    written = tp_core.convert("tp", ours, "huggingface", folder / "there", architecture=architecture)
    theirs, info = getattr(transformers, architecture).from_pretrained(written, output_loading_info=True)
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    assert not {name for name in info["missing_keys"] if "pooler" not in name}
    mask = mask_of([9, 4, 2], 9)
    ids = (tokens(3, 9, high=35) + 2) * mask + (1 - mask)  # 1 is RoBERTa's padding
    inputs = {"input_ids": ids, "attention_mask": mask}
    ours_too = {**inputs, "token_type_ids": torch.zeros_like(ids)}
    batch = Batch({"first": ours_too, "second": {name: value.flip(0) for name, value in ours_too.items()}}, 3)
    with torch.no_grad():
        streams = load_model(ours, "cpu").model.encode(batch).streams
        expected = theirs.eval()(**inputs).last_hidden_state
    assert worst(streams["first"].states, expected, mask) < 1e-5
    assert worst(streams["second"].states, expected.flip(0), mask.flip(0)) < 1e-5


@pytest.mark.parametrize("target", [CLR, CLS], ids=["simcse", "sbert"])
@pytest.mark.parametrize(
    ("modules", "architecture"),
    [(BERT, "BertModel"), (ROBERTA, "RobertaModel"), (ROBERTA, "XLMRobertaModel"), (BERT[:2], "DistilBertModel")],
    ids=["bert", "roberta", "xlm-roberta", "distilbert"],
)
def test_the_stream_that_both_texts_share_is_the_body(
    tmp_path: Path, target: dict[str, Any], modules: list[Any], architecture: str
) -> None:
    checked(tmp_path, exported(tmp_path, modules, target, norm={"layernorm": {"eps": 1e-12}}), architecture)


def test_the_body_comes_back_as_a_model_of_one_text(tmp_path: Path) -> None:
    ours = exported(tmp_path, BERT, CLR)
    written = tp_core.convert("tp", ours, "huggingface", tmp_path / "there", architecture="BertModel")
    back = load_model(tp_core.convert("huggingface", written, "tp", tmp_path / "back"), "cpu").model
    first = load_model(ours, "cpu").model.weights()
    for name, weight in back.weights().items():
        assert torch.equal(weight, first[f"streams.first.{name}"]), name


def test_without_an_architecture_the_message_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(TPError, match="see --architecture"):
        tp_core.convert("tp", exported(tmp_path, BERT, CLR), "huggingface", tmp_path / "there", model_type="bert")


def test_streams_that_do_not_share_their_modules_are_no_one_body(tmp_path: Path) -> None:
    ours = exported(tmp_path, BERT, CLR, second=None)
    with pytest.raises(TPError, match="streams is first, second; expected one input only"):
        tp_core.convert("tp", ours, "huggingface", tmp_path / "there", architecture="BertModel")
