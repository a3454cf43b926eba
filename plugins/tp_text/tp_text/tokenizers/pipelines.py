"""Library pipelines of each kind of tokenizer: normaliser, pre-tokenizer, model and decoder. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_text.tokenizers.files import read_bytes

if TYPE_CHECKING:
    from tp_text.tokenizers.byte_pair_options import BytePairConfig
    from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, SpaceConfig, WordPieceConfig


def bert_normalizer(lowercase: bool, strip_accents: bool | None = None, split_chinese: bool = True) -> Any:
    """BERT's text normalisation: remove control characters, separate Chinese characters, handle accents and case."""
    from tokenizers import normalizers

    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=split_chinese, strip_accents=strip_accents, lowercase=lowercase
    )


def lowercase_normalizer(lowercase: bool) -> Any:
    """Normaliser that strips white space at both ends and optionally lower-cases."""
    from tokenizers import normalizers

    steps = [normalizers.Strip()]
    return normalizers.Sequence([*steps, normalizers.Lowercase()] if lowercase else steps)


def wordpiece_pipeline(config: WordPieceConfig, vocabulary: dict[str, int]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    longest = config.max_word_length
    model = models.WordPiece(vocabulary, unk_token=config.unk_token, max_input_chars_per_word=longest)
    backend = Tokenizer(model)
    backend.normalizer = bert_normalizer(config.lowercase, config.strip_accents, config.split_chinese)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    return backend


def character_pipeline(config: CharacterConfig, vocabulary: dict[str, int]) -> Any:
    from tokenizers import Tokenizer, decoders, models

    # BPE without merges makes every character a token, twice as fast as a split into one-character words.
    backend = Tokenizer(models.BPE(vocabulary, [], unk_token=config.unk_token))
    backend.normalizer = lowercase_normalizer(config.lowercase)
    backend.decoder = decoders.Fuse()
    return backend


def space_pipeline(config: SpaceConfig, vocabulary: dict[str, int]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=config.unk_token))
    backend.normalizer = lowercase_normalizer(config.lowercase)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return backend


def byte_pair_pipeline(
    config: BytePairConfig, vocabulary: dict[str, int], merges: list[tuple[str, str]], unknown: str | None
) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=config.add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    return backend


def sentencepiece_processor(path: Path) -> Any:
    """Load a sentencepiece model file.

    Raises:
        TPError: the file cannot be read, or is not a sentencepiece model.
    """
    import sentencepiece

    data = read_bytes(path)
    processor = sentencepiece.SentencePieceProcessor()
    try:
        # The constructor is not used: for empty data, it returns an unusable processor without an error.
        processor.LoadFromSerializedProto(data)
    except RuntimeError as error:
        what = "is empty" if not data else f"is not a sentencepiece model, or is damaged ({len(data)} bytes)"
        raise TPError(f"{path} {what}; expected a .model file trained by sentencepiece") from error
    return processor
