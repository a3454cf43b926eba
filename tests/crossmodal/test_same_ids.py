"""Texts of models of two modalities get the ids of transformers, and the tokenizer's files go back as they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tp_core
from tests.building import randomised
from tests.text.vocabularies import lines, wordpieces
from tp_core import Record

transformers = pytest.importorskip("transformers")

TEXTS = ["Hello the CAT", "the cats aren't", "a  hello, 天!"]


def clip_files(folder: Path) -> int:
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("h", "e")]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    ids = {token: n for n, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    return len(ids)


def word_pieces(folder: Path) -> int:
    pieces = wordpieces()
    lines(folder / "vocab.txt", pieces)
    return len(pieces)


def clip(folder: Path) -> Any:
    size = clip_files(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    text = {"vocab_size": size, "max_position_embeddings": 24, **sizes, **ends}
    image = {"image_size": 16, "patch_size": 8, **sizes}
    return transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=image, projection_dim=8))


def vilt(folder: Path) -> Any:
    config = transformers.ViltConfig(
        vocab_size=word_pieces(folder), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24, image_size=16, patch_size=8, max_position_embeddings=24,
    )  # fmt: skip
    return transformers.ViltForMaskedLM(config)


def visual_bert(folder: Path) -> Any:
    config = transformers.VisualBertConfig(
        vocab_size=word_pieces(folder), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=24, visual_embedding_dim=8,
    )  # fmt: skip
    return transformers.VisualBertForPreTraining(config)


@pytest.mark.parametrize("make", [clip, vilt, visual_bert])
def test_texts_have_the_ids_of_transformers(tmp_path: Path, make: Any) -> None:
    (tmp_path / "theirs").mkdir()
    randomised(make(tmp_path / "theirs")).save_pretrained(tmp_path / "theirs")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    processor = tp_core.load_model(tmp_path / "ours", "cpu").processor
    assert processor is not None
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    seen = {"regions": [[0.0] * 8]} if make is visual_bert else {"image": str(tmp_path / "a.png")}
    samples = processor.encode([Record({"text": text, **seen}, "texts", n) for n, text in enumerate(TEXTS)])
    assert [sample["input_ids"].tolist() for sample in samples] == [theirs(text)["input_ids"] for text in TEXTS]
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert [again(text)["input_ids"] for text in TEXTS] == [theirs(text)["input_ids"] for text in TEXTS]
