"""Options of tokenizers with a ``vocab.txt``. Torch-free."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.options.context import DataContext
from tp_core.options.marks import PathStr
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.options import BOS, EOS, PAIR_SEPARATORS, SPECIAL_IN_TEXT

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


class LineVocabularyConfig(TokenizerConfig):
    """Shared options of tokenizers with a ``vocab.txt``: the file, and BERT's special tokens."""

    terms: ClassVar[Mapping[str, str]] = {
        "vocab": "vocab_path vocab_file",
    }

    implementation: ClassVar[str] = "tp_text.tokenizers.line_vocabulary:LineVocabularyTokenizer"
    algorithm: ClassVar[str] = ""

    vocab: PathStr = Field(description="vocabulary file: UTF-8, one token per line; the first line has id 0")
    pad_token: str | None = "[PAD]"
    unk_token: str = "[UNK]"
    cls_token: str | None = "[CLS]"
    sep_token: str | None = "[SEP]"
    mask_token: str | None = "[MASK]"
    bos_token: str | None = None
    eos_token: str | None = None
    add_bos: bool = Field(False, description=BOS)
    add_eos: bool = Field(False, description=EOS)
    special_in_text: bool = Field(True, description=SPECIAL_IN_TEXT)
    pair_separators: Literal[1, 2] | None = Field(None, description=PAIR_SEPARATORS)

    def libraries(self) -> Collection[str]:
        return ("tokenizers",)

    def facts(self, data: DataContext) -> "TokenizerFacts":
        """Facts read from the vocabulary file; loading the tokenizer library would be too slow for ``tp check``."""
        from tp_core.interfaces.tokenizer import TokenizerFacts
        from tp_text.tokenizers import roles
        from tp_text.tokenizers.files import read_vocabulary

        if self.add_bos or self.add_eos:
            return super().facts(data)  # which knows the tokens around texts
        path = Path(data.base, self.vocab)
        vocabulary = read_vocabulary(path)
        if self.unk_token not in vocabulary:
            raise roles.missing_unknown(self.algorithm, path, self.unk_token, vocabulary)
        special = {role: vocabulary[token] for role, token in roles.spellings(self).items() if token in vocabulary}
        marks = self.algorithm != "char"
        return TokenizerFacts(
            len(vocabulary), special, marks, tokens=lambda: vocabulary, tokenizer=lambda: self.build(data)
        )


class WordPieceConfig(LineVocabularyConfig):
    """WordPiece with BERT's text normalisation (Devlin et al., 2019)."""

    terms: ClassVar[Mapping[str, str]] = {
        "lowercase": "do_lower_case lower_case uncased do_lowercase",
        "split_chinese": "tokenize_chinese_chars",
    }

    algorithm: ClassVar[str] = "wordpiece"

    lowercase: bool = Field(True, description="lower-case the text; false for cased vocabularies")
    strip_accents: bool | None = Field(None, description="remove accents; default: same as lowercase")
    split_chinese: bool = Field(True, description="make every Chinese character a word")
    max_word_length: int = Field(100, gt=0, description="words with more characters become the unknown token")


class CharacterConfig(LineVocabularyConfig):
    """One token per character, including spaces; white space at both ends of a text is removed."""

    terms: ClassVar[Mapping[str, str]] = {
        "lowercase": "do_lower_case lower_case uncased do_lowercase",
    }

    algorithm: ClassVar[str] = "char"

    lowercase: bool = Field(False, description="lower-case the text")


class SpaceConfig(LineVocabularyConfig):
    """One token per word; white space separates words."""

    terms: ClassVar[Mapping[str, str]] = {
        "lowercase": "do_lower_case lower_case uncased do_lowercase",
    }

    algorithm: ClassVar[str] = "space"

    lowercase: bool = Field(False, description="lower-case the text")
