"""Tokenizers' files in the layouts in which models are published, with small vocabularies made on the spot."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.text.vocabularies import byte_pairs, lines, wordpieces

#: Texts with a mask, where the tokenizer has one in place of ``{mask}``.
TEXTS = [
    "the hello cats aren't running",
    "Hello the",
    "the {mask} hello",
    "今天天气 hello, 世界。",
    "a{mask} the the",
    "",
]


def trained(**options: Any) -> bytes:
    """A sentencepiece model of random words."""
    import sentencepiece

    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdeilnorsth"), size=rng.integers(2, 7))) for _ in range(300)]
    texts = [" ".join(rng.choice(words, size=8)) for _ in range(300)]
    model = io.BytesIO()
    options = {"vocab_size": 150, "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=model, **options)
    return model.getvalue()


def _byte_pairs(special: list[str]) -> Callable[[Path], int]:
    def write(folder: Path) -> int:
        ids, merges = byte_pairs(special)
        (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
        text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
        (folder / "merges.txt").write_text(text, encoding="utf-8")
        return len(ids)

    return write


def _wordpieces(folder: Path) -> int:
    pieces = wordpieces()
    lines(folder / "vocab.txt", pieces)
    return len(pieces)


def _cased(folder: Path) -> int:
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "model_max_length": 512}))
    return _wordpieces(folder)


def _pieces(name: str, config: dict[str, Any] | None = None, **options: Any) -> Callable[[Path], int]:
    def write(folder: Path) -> int:
        (folder / name).write_bytes(trained(**options))
        if config is not None:
            (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return 300  # transformers adds tokens of its own

    return write


_LLAMA = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]"}
_BPE = {"model_type": "bpe", "byte_fallback": True, "vocab_size": 400}
_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _bloom(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    ids, merges = byte_pairs(["<unk>", "<s>", "</s>", "<pad>"])
    backend: Any = Tokenizer(models.BPE(ids, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<unk>", "<s>", "</s>", "<pad>"])
    backend.save(str(folder / "tokenizer.json"))
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    content = {"tokenizer_class": "BloomTokenizerFast", "add_prefix_space": False, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    return len(ids)


#: By the type of the model and, behind a stroke, the layout: writes the files; gives back a size for the vocabulary.
LAYOUTS: dict[str, Callable[[Path], int]] = {
    "bert": _wordpieces,
    "bert/cased": _cased,
    "distilbert": _wordpieces,
    "roberta": _byte_pairs(_ROBERTA),
    "bart": _byte_pairs(_ROBERTA),
    "gpt2": _byte_pairs(["<|endoftext|>"]),
    "xlm-roberta": _pieces("sentencepiece.bpe.model"),
    "albert": _pieces("spiece.model", **_ALBERT),
    "fnet": _pieces("spiece.model", **_ALBERT),
    "t5": _pieces("spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
    "pegasus": _pieces("spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
    "llama": _pieces("tokenizer.model", {**_LLAMA, "add_bos_token": True, "add_eos_token": False}, **_BPE),
    "llama/both ends": _pieces("tokenizer.model", {**_LLAMA, "add_bos_token": True, "add_eos_token": True}, **_BPE),
    "mistral": _pieces("tokenizer.model", {**_LLAMA, "add_bos_token": True, "add_eos_token": False}, **_BPE),
    "bloom": _bloom,
}
