"""Byte-level byte-pair encoding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_text.tokenizers import roles
from tp_text.tokenizers.files import read_merges, read_token_ids
from tp_text.tokenizers.frames import DocumentEnds
from tp_text.tokenizers.pipelines import byte_pair_pipeline
from tp_text.tokenizers.rust import RustTokenizer, add_special_tokens

if TYPE_CHECKING:
    from tp_core.options.context import DataContext
    from tp_text.tokenizers.byte_pair_options import BytePairConfig


class BytePairTokenizer(DocumentEnds, RustTokenizer):
    """GPT-2's tokenizer, built from a vocabulary and its merges.

    Raises:
        TPError: the files cannot be read or do not match, or the vocabulary lacks some bytes and has no unknown token.
    """

    def __init__(self, config: BytePairConfig, data: DataContext) -> None:
        from tokenizers import pre_tokenizers

        vocab, merges = Path(data.base, config.vocab), Path(data.base, config.merges)

        vocabulary = read_token_ids(vocab)
        self._merges = read_merges(merges, vocabulary)
        complete = all(byte in vocabulary for byte in pre_tokenizers.ByteLevel.alphabet())
        # Without an unknown token, the library would silently drop unknown bytes.
        unknown = None if complete else config.unk_token
        if not complete and unknown not in vocabulary:
            raise roles.missing_unknown("bpe", vocab, unknown, vocabulary)
        backend = byte_pair_pipeline(config, vocabulary, self._merges, unknown)
        spelled = roles.spellings(config)
        # As in RoBERTa, the mask replaces a word together with the space before it.
        add_special_tokens(backend, spelled, vocabulary, lstrip=True)
        super().__init__(backend, spelled, roles.BYTE_LEVEL, config.special_in_text)
        self.pair_separators = config.pair_separators or self.pair_separators
        self._options = config.model_dump(mode="json")
        self._vocabulary = vocabulary
        self.add_ends(config.add_bos, config.add_eos, vocab)
        if complete and {"bos", "eos", "unk"} <= self.special.keys():
            roberta = {"roberta": "RobertaTokenizer", "bart": "BartTokenizer"}
            whole = self.pair_separators == 2 and {"pad", "mask"} <= self.special.keys()
            self.huggingface_class = {"gpt2": "GPT2Tokenizer", **(roberta if whole else {})}

    def huggingface_options(self) -> dict[str, Any]:
        """Options of transformers' tokenizer classes for GPT-2 and RoBERTa."""
        return {"add_prefix_space": self._options["add_prefix_space"]}

    def save(self, folder: Path) -> dict[str, Any]:
        ids = dict(sorted(self._vocabulary.items(), key=lambda item: item[1]))
        (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
        lines = ["#version: 0.2", *(" ".join(pair) for pair in self._merges)]
        (folder / "merges.txt").write_bytes("".join(f"{line}\n" for line in lines).encode())
        return {**self._options, "vocab": "vocab.json", "merges": "merges.txt"}
