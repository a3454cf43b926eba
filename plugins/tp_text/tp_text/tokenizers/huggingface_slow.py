"""Tokenizers of speech models, for which transformers has only slow (Python) classes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.options.context import DataContext
from tp_text.tokenizers.files import read_token_ids
from tp_text.tokenizers.huggingface_files import model_type_of, named_roles, own_config
from tp_text.tokenizers.huggingface_kept import KeptFiles
from tp_text.tokenizers.rust import RustTokenizer
from tp_text.tokenizers.sentence_piece import SentencePieceTokenizer
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig

#: Types of models that use these tokenizers, if no file names a tokenizer class.
_CHARACTERS = ("wav2vec2", "wav2vec2-conformer", "wav2vec2-bert", "hubert", "wavlm", "unispeech", "data2vec-audio")
_PIECES = ("speech_to_text",)

#: Special tokens of these tokenizers, unless a file names others.
_USUAL = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"}


def slow_tokenizer(folder: Path) -> KeptFiles | None:
    """The tokenizer of a speech model's folder; None if the folder has another kind of tokenizer.

    Raises:
        TPError: the files cannot be read, or the vocabulary has several languages.
    """
    name, kind = str(own_config(folder).get("tokenizer_class") or ""), model_type_of(folder)
    vocab, pieces = folder / "vocab.json", folder / "sentencepiece.bpe.model"
    if vocab.is_file() and (name == "Wav2Vec2CTCTokenizer" or (not name and kind in _CHARACTERS)):
        return SpeechCharacters(folder)
    if vocab.is_file() and pieces.is_file() and (name == "Speech2TextTokenizer" or (not name and kind in _PIECES)):
        return SpeechPieces(folder)
    return None


class SpeechCharacters(KeptFiles, RustTokenizer):
    """wav2vec 2.0's tokenizer: one token per character, with a delimiter token for the space.

    Raises:
        TPError: the vocabulary cannot be read, or has several languages.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import AddedToken, models, normalizers
        from tokenizers import Tokenizer as Backend

        options = own_config(folder)
        if options.get("target_lang") is not None:
            raise TPError(f"{folder}: vocabularies with several languages (target_lang) are not supported")
        vocabulary = read_token_ids(folder / "vocab.json")
        special = _USUAL | named_roles(folder)
        self._delimiter = str(options.get("word_delimiter_token") or "|")
        self._space = str(options.get("replace_word_delimiter_char") or " ")
        self._capitals = bool(options.get("do_lower_case", False))
        # Byte-pair encoding without merges makes every character a token.
        backend: Any = Backend(models.BPE(vocabulary, [], unk_token=special["unk"]))
        backend.normalizer = normalizers.Replace(" ", self._delimiter)
        longer = [token for token in vocabulary if len(token) > 1]
        self._longer = re.compile(f"({'|'.join(map(re.escape, longer))})" if longer else "")
        backend.add_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in longer])
        super().__init__(backend, special, None, special_in_text=True)

    def _as_read(self, texts: list[str]) -> list[str]:
        return [self._capitalised(text) for text in texts] if self._capitals else texts

    def _capitalised(self, text: str) -> str:
        """Text in capitals, except multi-character tokens.

        "do_lower_case" requires it: the vocabulary has capitals, but the user writes lower case.
        """
        parts = self._longer.split(text) if self._longer.pattern else [text]
        return "".join(part if place % 2 else part.upper() for place, part in enumerate(parts))

    def decode(self, ids: list[int]) -> str:
        tokens = (self._tokens[index] for index in ids if 0 <= index < self.vocab_size and index not in self._silent)
        text = "".join(self._space if token == self._delimiter else token for token in tokens).strip()
        return text.lower() if self._capitals else text


class SpeechPieces(KeptFiles, SentencePieceTokenizer):
    """Speech2Text's tokenizer: a sentencepiece model with the ids of a separate vocabulary file.

    Raises:
        TPError: the files cannot be read, or the vocabulary has several languages.
    """

    def __init__(self, folder: Path) -> None:
        own = own_config(folder)
        if own.get("lang_codes") is not None:
            raise TPError(f"{folder}: tokenizers with several languages (lang_codes) are not supported")
        special = {f"{role}_token": token for role, token in (_USUAL | named_roles(folder)).items()}
        model, vocab = folder / "sentencepiece.bpe.model", folder / "vocab.json"
        options = {"model": str(model), "vocab": str(vocab), "add_eos": True, **special}
        super().__init__(SentencePieceConfig.model_validate(options), DataContext())
        self._lower, self._upper = bool(own.get("do_lower_case")), bool(own.get("do_upper_case"))

    def _as_read(self, texts: list[str]) -> list[str]:
        # This follows the documentation of "do_lower_case"; some versions of transformers ignore it.
        return [text.lower() for text in texts] if self._lower else texts

    def decode(self, ids: list[int]) -> str:
        text = super().decode(ids)
        return text.upper() if self._upper else text
