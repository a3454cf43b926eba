"""Small vocabularies and models for the tests of tokenizers, made on the spot."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tp_core.options.context import DataContext

DATA = DataContext()
TEXTS = [
    "Hello, World! The unaffable cats aren't running.",
    "café naïve ÀÉÎ Ångström ß İstanbul ½ ﬁ",
    "今天天气很好，hello世界。",
    "emoji 😀👍🏽 ok",
    "tabs\tand\nlines\u00a0x\u200by\x00z",
    "한국어 テスト привет",
    "[MASK] in a [CLS] text, [mask]",
    "",
    "   ",
    "a" * 150,
    "  two  spaces  ",
]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpieces() -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [
        "hello",
        "the",
        "##able",
        "un",
        "##aff",
        "cats",
        "##ning",
        "run",
        "世",
        "界",
        "天",
        "好",
        "，",
        "。",
    ]
    capitals = ["H", "Hello", "W", "##É", "É", "é", "##é", "cafe", "café"]
    return [*BERT, *letters, *(f"##{c}" for c in letters), *words, *"!,.'", *capitals, "😀", "м", "##и"]


def lines(path: Path, tokens: list[str]) -> str:
    path.write_bytes("".join(f"{token}\n" for token in tokens).encode())
    return str(path)


def byte_pairs(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import pre_tokenizers

    merges = [
        ("t", "h"),
        ("th", "e"),
        ("Ġ", "the"),
        ("l", "l"),
        ("Ġ", "a"),
        ("h", "e"),
        ("he", "ll"),
        ("c", "a"),
    ]
    merges += [("ä", "»"), ("ä»", "Ĭ"), ("ð", "Ł"), ("Ġ", "Ġ")]
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    return {token: index for index, token in enumerate(tokens)}, merges


def byte_pair_files(folder: Path, special: list[str]) -> dict[str, Any]:
    ids, merges = byte_pairs(special)
    (folder / "encoder.json").write_text(json.dumps(ids), encoding="utf-8")
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (folder / "merges.txt").write_text(text, encoding="utf-8")
    return {"vocab": str(folder / "encoder.json"), "merges": str(folder / "merges.txt")}


def sentencepiece_model(path: Path, **options: Any) -> str:
    import sentencepiece

    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdeilnorst"), size=rng.integers(2, 7))) for _ in range(300)]
    text = [" ".join(rng.choice(words, size=8)) for _ in range(300)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_writer=model, vocab_size=120, minloglevel=2, **options
    )
    path.write_bytes(model.getvalue())
    return str(path)


def tokenizer_json(folder: Path, **parts: Any) -> Path:
    vocabulary = {token: index for index, token in enumerate([*BERT, "a", "##b", "hello"])}
    content = {
        "version": "1.0",
        "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(content | parts))
    return file
