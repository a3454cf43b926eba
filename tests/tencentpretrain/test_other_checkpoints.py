"""Checkpoints whose targets, names, files or config are not those that the original writes today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import tp_core
from tests.tencentpretrain.shapes import SHAPES, TOKENS
from tests.tencentpretrain.test_checkpoints import refused, same
from tests.tencentpretrain.test_shapes import convert, write
from tp_core import load_spec


def targets_of(folder: Path) -> list[str]:
    return [next(iter(each)) for each in load_spec(folder / "spec.yaml").dump()["model"]["target"]]


def rewrite(folder: Path, config: dict[str, Any] | None = None, tensors: dict[str, Tensor] | None = None) -> None:
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if tensors is not None:
        torch.save(tensors, folder / "model.bin")


@pytest.mark.parametrize(
    ("stored", "config"),
    [(["mlm"], ["mlm", "sp"]), (["mlm", "sp"], ["mlm"]), ([], ["mlm", "sp"]), (["mlm", "sp"], None)],
    ids=["a target less", "a target more", "a body", "no targets in the config"],
)
def test_the_targets_are_those_of_the_checkpoint(stored: list[str], config: list[str] | None, tmp_path: Path) -> None:
    shape = {**SHAPES["bert"], "target": stored}
    write(tmp_path, shape)
    expected, _ = convert(tmp_path, "expected")
    rewrite(tmp_path, {**shape, "target": config})
    found, said = convert(tmp_path, "found")
    assert same(found, expected)
    named = ", ".join(config or ()) or "none"
    assert any(
        f"has the targets {named}, the checkpoint {', '.join(stored) or 'none'}: the model has those of the checkpoint"
        in note
        for note in said
    )


def test_a_tied_matrix_may_be_stored_once(tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["gpt2"])
    expected, _ = convert(tmp_path, "expected")
    rewrite(tmp_path, tensors={name: each for name, each in tensors.items() if name != "target.lm.output_layer.weight"})
    found, said = convert(tmp_path, "found")
    assert same(found, expected)
    assert said == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"embedding": "word_pos_seg", "target": "bert"}, "bert"),
        ({"embedding": "word_pos_seg", "target": "albert"}, "albert"),
        ({"embedding": "word_pos_seg", "target": "mlm"}, "roberta"),
        ({"embedding": "word_pos", "target": "lm"}, "gpt2"),
        ({"embedding": "word", "tgt_embedding": "word", "target": "t5", "decoder": None}, "t5"),
        ({"embedding": "word_pos", "tgt_embedding": "word_pos", "target": "bart"}, "bart"),
        (
            {"embedding": "word_sinusoidalpos", "tgt_embedding": "word_sinusoidalpos", "target": "seq2seq"},
            "transformer",
        ),
    ],
)
def test_configs_of_uer(old: dict[str, Any], new: str, tmp_path: Path) -> None:
    write(tmp_path, SHAPES[new])
    expected, before = convert(tmp_path, "new")
    shape = {
        key: value for key, value in {**SHAPES[new], **old}.items() if value is not None and key != "data_processor"
    }
    rewrite(tmp_path, shape)
    found, said = convert(tmp_path, "old")
    assert same(found, expected)
    assert said == before


@pytest.mark.parametrize("shape", ["bilstm", "vit"])
def test_names_of_uer_depend_on_the_target(shape: str, tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES[shape])
    expected, _ = convert(tmp_path, "new")
    (target,) = SHAPES[shape]["target"]
    renamed = {name.replace(f"target.{target}.", "target."): each for name, each in tensors.items()}
    assert renamed.keys() != tensors.keys()
    rewrite(tmp_path, tensors=renamed)
    found, _ = convert(tmp_path, "old")
    assert same(found, expected)


def test_a_model_of_two_targets_with_words_is_tied_by_the_first(tmp_path: Path) -> None:
    config = {**SHAPES["unilm"], "target": ["lm", "mlm"], "tie_weights": True}
    tensors = write(tmp_path, config)
    tensors["target.mlm.linear_2.weight"] = tensors["embedding.word.embedding.weight"]
    tensors["target.lm.output_layer.weight"] = torch.randn_like(tensors["embedding.word.embedding.weight"])
    rewrite(tmp_path, tensors=tensors)
    found, _ = convert(tmp_path, "found")
    back = tp_core.convert("tp", found, "tencentpretrain", tmp_path / "back")
    again = torch.load(back / "model.bin", weights_only=True)
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_the_order_of_embeddings_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    expected, _ = convert(tmp_path, "expected")
    rewrite(tmp_path, {**SHAPES["bert"], "embedding": ["seg", "pos", "word"]})
    assert same(convert(tmp_path, "found")[0], expected)


@pytest.mark.parametrize("key", ["state_dict", "model", "module"])
def test_files_with_more_than_the_tensors(key: str, tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["gpt2"])
    expected, _ = convert(tmp_path, "expected")
    inner = {f"module.module.{name}": each for name, each in tensors.items()}
    torch.save({key: inner, "step": 3}, tmp_path / "model.bin")
    assert same(convert(tmp_path, "found")[0], expected)


def test_an_index_of_another_tool(tmp_path: Path) -> None:
    tensors = {name: each.clone() for name, each in write(tmp_path, SHAPES["llama"]).items()}
    expected, _ = convert(tmp_path, "expected")
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    torch.save(tensors, blocks / "one.bin")
    index = blocks / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(tensors, "one.bin")}))
    for number, source in enumerate((blocks, index)):
        config = str(tmp_path / "config.json")
        found = tp_core.convert("tencentpretrain", source, "tp", tmp_path / f"found{number}", config=config)
        assert same(found, expected)


def test_half_precision_stays_and_is_said(tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["gpt2"])
    rewrite(tmp_path, tensors={name: each.half() for name, each in tensors.items()})
    found, said = convert(tmp_path, "found")
    assert said == ["tensors of the checkpoint are of type float16, and stay so"]
    assert {each.dtype for each in load_file(found / "model.safetensors").values()} == {torch.float16}


def test_a_projection_between_equal_sizes_is_refused(tmp_path: Path) -> None:
    config = {**SHAPES["albert"], "emb_size": 32}
    tensors = write(tmp_path, config)
    tensors["encoder.linear.weight"], tensors["encoder.linear.bias"] = torch.eye(32), torch.zeros(32)
    rewrite(tmp_path, tensors=tensors)
    assert "'factorized_embedding_parameterization' needs different sizes" in refused(
        tmp_path / "model.bin", "--config", str(tmp_path / "config.json")
    )


@pytest.mark.parametrize(
    ("config", "written"),
    [
        (SHAPES["clip"], {"image_height": 16, "image_width": 16, "patch_size": 4}),
        ({**SHAPES["siamese lstm"], "pooling": "mean"}, {"pooling": "mean"}),
        (
            {**SHAPES["lstm"], "target": ["mlm"], "hidden_act": "relu"},
            {"hidden_act": "relu", "target": ["mlm"]},
        ),
        ({**SHAPES["s2t"]}, {"label_smoothing": 0.1, "audio_feature_size": 10}),
    ],
    ids=["clip", "siamese", "lstm with mlm", "s2t"],
)
def test_a_config_goes_back_where_the_original_reads_it(
    config: dict[str, Any], written: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path, config)
    found, _ = convert(tmp_path, "found")
    back = tp_core.convert("tp", found, "tencentpretrain", tmp_path / "back")
    again = json.loads((back / "config.json").read_text())
    assert {key: again[key] for key in written} == written


def test_the_default_of_a_length_is_said_on_the_way_back(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["llama"])
    found, _ = convert(tmp_path, "found")
    said: list[str] = []
    tp_core.convert("tp", found, "tencentpretrain", tmp_path / "back", say=said.append)
    assert "config.json has no 'max_seq_length', whose default is 512: set it for longer texts" in said


def test_a_sparse_tensor_is_refused(tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["gpt2"])
    rewrite(tmp_path, tensors={**tensors, "embedding.word.embedding.weight": torch.eye(32).to_sparse()})
    message = refused(tmp_path / "model.bin", "--config", str(tmp_path / "config.json"))
    assert "the tensor 'embedding.word.embedding.weight' is sparse" in message


def test_options_of_a_tokenizer_need_its_files(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["gpt2"])
    (tmp_path / "special.json").write_text("[1]")
    config = ["--config", str(tmp_path / "config.json")]
    model = tmp_path / "model.bin"
    assert "--cased belongs to a tokenizer" in refused(model, *config, "--cased")
    assert "this is no special_tokens_map.json" in refused(
        model, *config, "--special-tokens", str(tmp_path / "special.json")
    )
    assert "--labels is for models of ner" in refused(model, *config, "--labels", "none.json")


def test_a_vocabulary_may_have_further_columns_and_empty_lines(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(TOKENS - 7)), "", ""]
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\t7 \n" if token else "\n" for token in tokens))
    found, _ = convert(tmp_path, "found", vocab=str(tmp_path / "vocab.txt"))
    lines = (found / "tokenizer" / "vocab.txt").read_text().split("\n")
    assert lines[:6] == [*tokens[:5], "w0"]
    assert len(lines) == TOKENS + 1
