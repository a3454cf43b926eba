"""Tokenizers whose vocabulary file has one token per line: WordPiece, characters, words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_text.tokenizers import roles
from tp_text.tokenizers.files import read_vocabulary, write_vocabulary
from tp_text.tokenizers.frames import DocumentEnds
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig
from tp_text.tokenizers.pipelines import character_pipeline, space_pipeline, wordpiece_pipeline
from tp_text.tokenizers.rust import RustTokenizer, add_special_tokens
from tp_text.tokenizers.words import WordMemo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tp_core.options.context import DataContext
    from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, SpaceConfig

# A character token does not show if it begins a word: that depends on the character before it.
_BOUNDARIES = {"wordpiece": roles.WORDPIECE, "char": None, "space": roles.WORDS}

_PIPELINES: dict[str, Callable[[Any, dict[str, int]], Any]] = {
    "wordpiece": wordpiece_pipeline,
    "char": character_pipeline,
    "space": space_pipeline,
}


#: Model type → class of transformers that is WordPiece with BERT's text normalisation.
_CLASSES = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "vilt": "BertTokenizer",
    "visual_bert": "BertTokenizer",
}
#: Maximum number of characters in a word in these classes. They have no option for it.
_LONGEST = 100


class LineVocabularyTokenizer(DocumentEnds, RustTokenizer):
    """Tokenizer into WordPiece tokens, characters or words, depending on its options.

    Raises:
        TPError: the vocabulary cannot be read or has no unknown token.
    """

    def __init__(
        self,
        config: WordPieceConfig | CharacterConfig | SpaceConfig,
        data: DataContext,
    ) -> None:
        path = Path(data.base, config.vocab)
        vocabulary = read_vocabulary(path)
        if config.unk_token not in vocabulary:
            raise roles.missing_unknown(config.algorithm, path, config.unk_token, vocabulary)
        backend = _PIPELINES[config.algorithm](config, vocabulary)
        spelled = roles.spellings(config)
        add_special_tokens(backend, spelled, vocabulary)
        super().__init__(backend, spelled, _BOUNDARIES[config.algorithm], config.special_in_text)
        self.pair_separators = config.pair_separators or self.pair_separators
        self.add_ends(config.add_bos, config.add_eos, path)
        self._options = config.model_dump(mode="json")
        # transformers' class would add special tokens that the vocabulary lacks, with new ids.
        if isinstance(config, WordPieceConfig) and {"cls", "sep", "pad", "mask", "unk"} <= self.special.keys():
            own = config.max_word_length != _LONGEST or config.add_bos or config.add_eos
            self.huggingface_class = {} if own else _CLASSES
        # In the character tokenizer, white space is a token and does not separate words.
        self._memo = None if config.algorithm == "char" else WordMemo(backend)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        if self._memo is None:
            return super().encode_batch(texts)
        flat, ends = self._memo.encode(texts)
        ids, bounds = flat.tolist(), [0, *ends.tolist()]
        return [ids[start:end] for start, end in pairwise(bounds)]

    def encode_flat(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        return super().encode_flat(texts) if self._memo is None else self._memo.encode(texts)

    def huggingface_options(self) -> dict[str, Any]:
        """Options of transformers' BertTokenizer."""
        options = self._options
        return {
            "do_lower_case": options["lowercase"],
            "strip_accents": options["strip_accents"],
            "tokenize_chinese_chars": options["split_chinese"],
        }

    def save(self, folder: Path) -> dict[str, Any]:
        write_vocabulary(folder / "vocab.txt", self._tokens)
        return {**self._options, "vocab": "vocab.txt"}
