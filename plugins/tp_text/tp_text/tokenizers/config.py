"""Options of the tokenizers. Torch-free; the tokenizer libraries are imported when one is built.

A special token that the vocabulary lacks is absent from ``Tokenizer.special``; the processor says which ones
it needs. Only the unknown token is required, where text could not be encoded without it.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.config import DataContext, Preprocessing, TokenizerConfig
from tp_core.marks import PathStr

if TYPE_CHECKING:
    from tp_core.tokenizer import Tokenizer, TokenizerFacts

#: Endings of files with weights of models.
_WEIGHTS = frozenset((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".ot"))

_BOS = "every text begins with the bos token, as LLaMA's do"
_EOS = "every text ends with the eos token"
_IN_TEXT = "a special token spelled out in a text is that token, as in Hugging Face; false: plain text"


class _LineVocabularyConfig(TokenizerConfig):
    """What the tokenizers with a ``vocab.txt`` have in common: the file, and BERT's special tokens."""

    algorithm: ClassVar[str] = ""

    vocab: PathStr = Field(description="vocabulary file: UTF-8, one token per line, the first line is id 0")
    pad_token: str | None = "[PAD]"
    unk_token: str = "[UNK]"
    cls_token: str | None = "[CLS]"
    sep_token: str | None = "[SEP]"
    mask_token: str | None = "[MASK]"
    bos_token: str | None = None
    eos_token: str | None = None
    special_in_text: bool = Field(True, description=_IN_TEXT)

    def libraries(self) -> Collection[str]:
        return ("tokenizers",)

    def facts(self, data: DataContext) -> "TokenizerFacts":
        """Read from the file alone; the tokenizer library would take longer to load it than ``tp check`` has."""
        from tp_core.tokenizer import TokenizerFacts
        from tp_text.tokenizers import roles
        from tp_text.tokenizers.files import read_vocabulary

        path = Path(data.base, self.vocab)
        vocabulary = read_vocabulary(path)
        if self.unk_token not in vocabulary:
            raise roles.missing_unknown(self.algorithm, path, self.unk_token, vocabulary)
        special = {role: vocabulary[token] for role, token in roles.spellings(self).items() if token in vocabulary}
        return TokenizerFacts(len(vocabulary), special, self.algorithm != "char")


class WordPieceConfig(_LineVocabularyConfig):
    """WordPiece with BERT's text normalisation (Devlin et al., 2019)."""

    algorithm: ClassVar[str] = "wordpiece"

    lowercase: bool = Field(True, description="lower-case the text; false for cased vocabularies")
    strip_accents: bool | None = Field(None, description="remove accents; unset: follows lowercase")
    split_chinese: bool = Field(True, description="make every Chinese character a word")
    max_word_length: int = Field(100, gt=0, description="words of more characters become the unknown token")

    def build(self, data: DataContext) -> "Tokenizer":
        from tp_text.tokenizers.line_vocabulary import LineVocabularyTokenizer
        from tp_text.tokenizers.pipelines import wordpiece_pipeline

        return LineVocabularyTokenizer(self, Path(data.base, self.vocab), wordpiece_pipeline)


class CharacterConfig(_LineVocabularyConfig):
    """One token per character, spaces included; white space at the ends of a text is dropped."""

    algorithm: ClassVar[str] = "char"

    lowercase: bool = Field(False, description="lower-case the text")

    def build(self, data: DataContext) -> "Tokenizer":
        from tp_text.tokenizers.line_vocabulary import LineVocabularyTokenizer
        from tp_text.tokenizers.pipelines import character_pipeline

        return LineVocabularyTokenizer(self, Path(data.base, self.vocab), character_pipeline)


class SpaceConfig(_LineVocabularyConfig):
    """One token per word, where words are separated by white space."""

    algorithm: ClassVar[str] = "space"

    lowercase: bool = Field(False, description="lower-case the text")

    def build(self, data: DataContext) -> "Tokenizer":
        from tp_text.tokenizers.line_vocabulary import LineVocabularyTokenizer
        from tp_text.tokenizers.pipelines import space_pipeline

        return LineVocabularyTokenizer(self, Path(data.base, self.vocab), space_pipeline)


class BytePairConfig(TokenizerConfig):
    """Byte-level byte-pair encoding, as in GPT-2 (Radford et al., 2019) and RoBERTa.

    The defaults are GPT-2's. RoBERTa's are ``bos_token`` and ``cls_token`` ``<s>``, ``eos_token`` and
    ``sep_token`` ``</s>``, ``pad_token`` ``<pad>``, ``unk_token`` ``<unk>`` and ``mask_token`` ``<mask>``.
    """

    vocab: PathStr = Field(description="vocab.json (token to id), or a text file with one token per line")
    merges: PathStr = Field(description="merges.txt: two parts per line, the earliest merge first")
    add_prefix_space: bool = Field(False, description="treat a text as if it began with a space")
    pad_token: str | None = "<|endoftext|>"
    unk_token: str | None = "<|endoftext|>"
    cls_token: str | None = None
    sep_token: str | None = None
    mask_token: str | None = None
    bos_token: str | None = "<|endoftext|>"
    eos_token: str | None = "<|endoftext|>"
    add_bos: bool = Field(False, description=_BOS)
    add_eos: bool = Field(False, description=_EOS)
    special_in_text: bool = Field(True, description=_IN_TEXT)

    def libraries(self) -> Collection[str]:
        return ("tokenizers",)

    def build(self, data: DataContext) -> "Tokenizer":
        from tp_text.tokenizers.byte_pair import BytePairTokenizer

        return BytePairTokenizer(self, Path(data.base, self.vocab), Path(data.base, self.merges))


class SentencePieceConfig(TokenizerConfig):
    """A SentencePiece model (Kudo & Richardson, 2018).

    Special tokens are found in the model: its own padding, unknown, beginning and end pieces, and the usual
    spellings of the others. The options name them where a model spells them in another way.
    """

    model: PathStr = Field(description="model file as trained by sentencepiece")
    vocab: PathStr | None = Field(
        None, description="JSON object of pieces and ids, where the ids are not the model's own (fairseq, Speech2Text)"
    )
    pad_token: str | None = None
    unk_token: str | None = None
    cls_token: str | None = None
    sep_token: str | None = None
    mask_token: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    add_bos: bool = Field(False, description=_BOS)
    add_eos: bool = Field(False, description=_EOS)
    special_in_text: bool = Field(True, description=_IN_TEXT)

    def libraries(self) -> Collection[str]:
        return ("sentencepiece", "tokenizers")

    def build(self, data: DataContext) -> "Tokenizer":
        from tp_text.tokenizers.sentence_piece import SentencePieceTokenizer

        vocab = None if self.vocab is None else Path(data.base, self.vocab)
        return SentencePieceTokenizer(self, Path(data.base, self.model), vocab)


class HuggingFaceConfig(TokenizerConfig):
    """Any Hugging Face tokenizer: a ``tokenizer.json``, or a folder that holds one.

    A folder with only the files of a slow tokenizer is read with transformers, if that is installed.
    """

    unread: ClassVar[frozenset[str]] = _WEIGHTS | {".md"}

    path: PathStr = Field(description="tokenizer.json, or the folder of a tokenizer")
    special_in_text: bool = Field(True, description=_IN_TEXT)

    def contents(self) -> list[str]:
        if os.path.isdir(self.path):
            return [self.path]
        from tp_text.tokenizers.huggingface_files import files_read

        return [*files_read(Path(self.path))]

    def libraries(self) -> Collection[str]:
        path = Path(self.path)
        slow = path.is_dir() and not (path / "tokenizer.json").is_file()
        return ("tokenizers", "transformers", "sentencepiece") if slow else ("tokenizers",)

    @classmethod
    def from_huggingface(cls, source: Path, folder: Path) -> Preprocessing | None:
        from tp_core.interop.tokenizer_files import has_tokenizer

        if not has_tokenizer(source):
            return None
        from tp_text.tokenizers.huggingface_files import own_config
        from tp_text.tokenizers.huggingface_import import import_tokenizer

        notes = tuple(import_tokenizer(source, folder))
        plain = {"special_in_text": False} if own_config(source).get("split_special_tokens") else {}
        return Preprocessing({"path": folder.name, **plain}, notes)

    def build(self, data: DataContext) -> "Tokenizer":
        from tp_text.tokenizers.huggingface import read_tokenizer

        return read_tokenizer(self, Path(data.base, self.path))
