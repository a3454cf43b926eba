"""Tokenizers on the way to Hugging Face: transformers loads their files and gives the same ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tp_core
from tests.text.published import trained
from tests.text.vocabularies import BERT, TEXTS, byte_pair_files, lines, sentencepiece_model, wordpieces
from tp_core.artifacts.export import export_model
from tp_core.data.build import tokenizers_of
from tp_core.interfaces.tokenizer import TransformersUse
from tp_core.options.context import DataContext
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, SpaceConfig, WordPieceConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig

transformers = pytest.importorskip("transformers")

ROBERTA = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}


def configs(folder: Path) -> dict[str, TokenizerConfig]:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    roberta = {**ROBERTA, "unk_token": "<unk>", "mask_token": "<mask>"}
    words = sorted({word for text in TEXTS for word in text.split()} - {*BERT})
    return {
        "wordpiece": WordPieceConfig(vocab=lines(folder / "pieces.txt", wordpieces())),
        "cased": WordPieceConfig(vocab=lines(folder / "pieces.txt", wordpieces()), lowercase=False),
        "bpe": BytePairConfig(**byte_pair_files(folder, special), **roberta),
        "char": CharacterConfig(vocab=lines(folder / "characters.txt", [*BERT, *"abHe天 "])),
        "space": SpaceConfig(vocab=lines(folder / "words.txt", [*BERT, *words])),
    }


@pytest.mark.parametrize("name", ["wordpiece", "cased", "bpe", "char", "space"])
def test_ids_are_the_same_with_special_tokens_around_them(tmp_path: Path, name: str) -> None:
    ours = configs(tmp_path)[name].build(DataContext(base=str(tmp_path)))
    before = ours.encode_batch(TEXTS)
    folder = tmp_path / "theirs"
    folder.mkdir()
    assert ours.to_huggingface(folder, TransformersUse())
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    cls, sep = ours.special["cls"], ours.special["sep"]
    assert theirs(TEXTS)["input_ids"] == [[cls, *ids, sep] for ids in before]
    assert theirs(TEXTS, add_special_tokens=False)["input_ids"] == before == ours.encode_batch(TEXTS)
    between = [sep, sep] if name == "bpe" else [sep]
    assert theirs(TEXTS[0], TEXTS[1])["input_ids"] == [cls, *before[0], *between, *before[1], sep]
    for role in ("pad", "unk", "mask"):
        assert getattr(theirs, f"{role}_token_id") == ours.special[role]


def test_without_special_tokens_around_texts_there_are_none(tmp_path: Path) -> None:
    ours = BytePairConfig(**byte_pair_files(tmp_path, ["<|endoftext|>"])).build(DataContext(base=str(tmp_path)))
    assert ours.to_huggingface(tmp_path, TransformersUse())
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXTS)["input_ids"] == ours.encode_batch(TEXTS)
    assert theirs.eos_token == "<|endoftext|>"


def converted(folder: Path, tokenizer: dict[str, Any], vocabulary: int) -> list[str]:
    """The notes of a conversion of a model with a tokenizer to Hugging Face."""
    file = folder / "mine.yaml"
    sizes = f"model: {{hidden_size: 24, vocab_size: {vocabulary}, encoder: {{transformer: {{num_layers: 1}}}}}}"
    file.write_text(f"extends: bert-tiny\n{sizes}\ndata: {{tokenizer: {tokenizer}, processor: bert}}\n")
    spec = tp_core.load_spec(file)
    export_model(spec, tp_core.build_model(spec).weights(), tokenizers_of(spec), folder / "model")
    said: list[str] = []
    tp_core.convert("tp", folder / "model", "huggingface", folder / "back", say=said.append)
    return said


def test_a_model_of_ours_is_converted_with_its_tokenizer(tmp_path: Path) -> None:
    pieces = wordpieces()
    converted(tmp_path, {"wordpiece": {"vocab": lines(tmp_path / "pieces.txt", pieces)}}, len(pieces))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    model = transformers.AutoModel.from_pretrained(tmp_path / "back")
    inputs = theirs(TEXTS[0], return_tensors="pt")
    assert int(inputs["input_ids"][0, 0]) == pieces.index("[CLS]")
    assert model(**inputs).last_hidden_state.shape[-1] == 24


def sentencepiece(model: str) -> dict[str, Any]:
    return {
        "sentencepiece": {
            "model": model,
            "cls_token": "<s>",
            "pad_token": "<s>",
            "sep_token": "</s>",
            "mask_token": "▁",
        }
    }


@pytest.mark.parametrize("options", [{"remove_extra_whitespaces": False}, {"user_defined_symbols": "[X]"}])
def test_a_tokenizer_without_such_a_form_is_named(tmp_path: Path, options: dict[str, Any]) -> None:
    # The Rust library would cut such texts at other places.
    model = sentencepiece_model(tmp_path / "m.model", **options)
    said = converted(tmp_path, sentencepiece(model), 400)
    assert any(
        "the tokenizer is not written: transformers has no equivalent of 'sentencepiece'" in line for line in said
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model_type": "bpe"},
        {"model_type": "bpe", "byte_fallback": True, "vocab_size": 400},
        {"byte_fallback": True, "vocab_size": 400},
        {"normalization_rule_name": "identity"},
        {"add_dummy_prefix": False},
    ],
    ids=lambda options: "-".join(map(str, options)) or "unigram",
)
def test_sentencepiece_models_have_the_same_ids_in_transformers(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "m.model").write_bytes(trained(**options))
    ours = SentencePieceConfig(model=str(tmp_path / "m.model"), add_bos=True).build(DataContext())
    folder = tmp_path / "theirs"
    folder.mkdir()
    assert ours.to_huggingface(folder, TransformersUse())
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["the cat </s> is<s>", *(text for text in TEXTS if "[MASK]" not in text)]
    bos = ours.special["bos"]
    assert theirs(texts)["input_ids"] == [[bos, *ids] for ids in ours.encode_batch(texts)]
    ids = ours.encode_batch(["rose and lie"])[0]
    assert theirs.decode(ids) == ours.decode(ids)
