"""Tokenizers of the original: a converted model and an imported spec have the same ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

import tp_core
from tests.tencentpretrain import original
from tests.tencentpretrain.shapes import SHAPES
from tests.text.vocabularies import byte_pair_files, lines, sentencepiece_model, wordpieces
from tp_core import TPError, load_spec
from tp_core.options.context import DataContext
from tp_tencentpretrain.spec_import.build import import_spec

_TEXTS = ["stone rail, a day", "Ça [MASK] ab", "x" * 150]


@pytest.mark.parametrize("name", ["bert", "bert of pieces", "char", "space", "bpe", "xlmroberta"])
def test_an_imported_spec_has_the_ids_of_the_converted_model(name: str, tmp_path: Path) -> None:
    files: dict[str, str] = {}
    if name in ("bert", "char", "space"):
        files["vocab"] = lines(tmp_path / "vocab.txt", wordpieces())
    elif name == "bpe":
        files = byte_pair_files(tmp_path, ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"])
    else:
        own = {"control_symbols": ["[CLS]", "[SEP]", "[PAD]"], "user_defined_symbols": ["[MASK]"]}
        files["spm_model"] = sentencepiece_model(tmp_path / "spm.model", **(own if name == "bert of pieces" else {}))
    shape = {**SHAPES["roberta"], "target": ["mlm"]}
    (tmp_path / "config.json").write_text(json.dumps(shape))
    flags = {"vocab": "--vocab_path", "merges": "--merges_path", "spm_model": "--spm_model_path"}
    options = [word for option, path in files.items() for word in (flags[option], path)]
    tokenizer = name.split()[0]
    found = import_spec(tmp_path / "config.json", ["--tokenizer", tokenizer, *options, "--seq_length", "16"])
    (tmp_path / "spec.yaml").write_text(yaml.dump({"data": found.tree["data"], "model": {**found.tree["model"]}}))
    imported = load_spec(tmp_path / "spec.yaml").data.tokenizer
    assert imported is not None
    ours = imported.config.build(DataContext())

    tensors = original.Maker(shape, ours.vocab_size).tensors
    torch.save(tensors, tmp_path / "model.bin")
    place = tp_core.convert(
        "tencentpretrain", tmp_path / "model.bin", "tp", tmp_path / "tp", tokenizer=tokenizer, **files
    )
    chosen = load_spec(place / "spec.yaml").data.tokenizer
    assert chosen is not None
    converted = chosen.config.build(DataContext(base=str(place)))
    assert converted.encode_batch(_TEXTS) == ours.encode_batch(_TEXTS)
    roles = ("pad", "unk", "cls", "sep", "mask")
    assert [converted.special.get(role) for role in roles] == [ours.special.get(role) for role in roles]
    assert converted.pair_separators == 1
    if name == "xlmroberta":
        assert [converted.special[role] for role in ("cls", "pad", "sep", "unk")] == [0, 1, 2, 3]


def test_a_vocabulary_with_a_token_twice_is_named(tmp_path: Path) -> None:
    vocab = lines(tmp_path / "vocab.txt", [*wordpieces(), "[CLS]"])
    (tmp_path / "config.json").write_text(json.dumps(SHAPES["roberta"]))
    torch.save(original.Maker(SHAPES["roberta"], 50).tensors, tmp_path / "model.bin")
    with pytest.raises(TPError) as caught:
        tp_core.convert("tencentpretrain", tmp_path / "model.bin", "tp", tmp_path / "tp", vocab=vocab)
    assert str(caught.value).startswith(f"{vocab}:")
