"""Conversion of a sentencepiece model to the format of the Rust library, which transformers reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tp_text.tokenizers.sentence_piece import SentencePieceTokenizer

_SPACE = "▁"
#: Types of pieces in sentencepiece's model files.
_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 2, 3, 4, 6
_UNIGRAM, _BPE = 1, 2

#: Texts on which both formats are compared, in addition to texts made of the model's own pieces.
_PROBES = (
    "Hello, World! The unaffable cats aren't running.",
    "  two  spaces and\ttabs\nlines ",
    "café naïve ÀÉ ½ ﬁ Ⅳ ａｂｃ １２",
    "今天天气很好，hello世界。",
    "한국어 テスト привет 😀👍🏽",
    "a" * 60,
    "x1y2 3.14 http://a.b/c?d=e&f #tag @me",
    "",
    " ",
)


def rust_form(tokenizer: SentencePieceTokenizer, model: bytes, special: Sequence[int]) -> Any:
    """The same tokenizer as a ``tokenizers.Tokenizer``; None if the library cannot give the same ids.

    Args:
        model: content of the model file.
        special: ids of special tokens, which transformers recognises in texts.
    """
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import AddedToken

    forms: Any = sentencepiece_model_pb2  # its classes are created at run time
    proto = forms.ModelProto.FromString(model)
    if proto.trainer_spec.model_type not in (_UNIGRAM, _BPE) or proto.trainer_spec.treat_whitespace_as_suffix:
        return None
    backend = _backend(proto)
    ordinary = [piece.piece for piece in proto.pieces if piece.type not in (_UNKNOWN, _CONTROL, _BYTE, _USER_DEFINED)]
    if backend is None:
        return None
    defined = [piece.piece for piece in proto.pieces if piece.type == _USER_DEFINED]
    backend.add_tokens([AddedToken(token, normalized=False, special=False) for token in defined])
    if not _same_ids(tokenizer, backend, [*ordinary[::7], *defined]):
        return None
    tokens = [tokenizer.token(index) for index in special]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in tokens])
    return backend


def _backend(proto: Any) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = [(piece.piece, float(piece.score)) for piece in proto.pieces]
    unknown = next(number for number, piece in enumerate(proto.pieces) if piece.type == _UNKNOWN)
    bytes_too = any(piece.type == _BYTE for piece in proto.pieces)
    try:
        if proto.trainer_spec.model_type == _UNIGRAM:
            model: Any = models.Unigram(pieces, unknown, bytes_too)
        else:
            vocabulary = {piece: number for number, (piece, _) in enumerate(pieces)}
            merges = _merges(proto)
            name = pieces[unknown][0]
            model = models.BPE(vocabulary, merges, unk_token=name, fuse_unk=True, byte_fallback=bytes_too)
        backend = Tokenizer(model)
        steps: list[Any] = []
        if proto.normalizer_spec.precompiled_charsmap:
            steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
        if proto.normalizer_spec.remove_extra_whitespaces:
            steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
        if steps:
            backend.normalizer = normalizers.Sequence(steps)
    except Exception:  # the library raises plain exceptions, for example for an unknown charsmap
        return None
    scheme = "always" if proto.normalizer_spec.add_dummy_prefix else "never"
    unigram = proto.trainer_spec.model_type == _UNIGRAM
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme=scheme, split=unigram)
    spaces = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    prefix = [decoders.Strip(content=" ", left=1)] if proto.normalizer_spec.add_dummy_prefix else []
    backend.decoder = decoders.Sequence([*spaces, *prefix])
    return backend


def _merges(proto: Any) -> list[tuple[str, str]]:
    """Merges of a byte-pair model, ordered by score; each piece is merged from its two best parts."""
    rank = {piece.piece: -piece.score for piece in proto.pieces if piece.type not in (_CONTROL, _UNKNOWN, _BYTE)}
    merges: list[tuple[float, float, float, str, str]] = []
    for piece, place in rank.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in rank and right in rank:
                merges.append((place, rank[left], rank[right], left, right))
    return [(left, right) for *_, left, right in sorted(merges)]


def _same_ids(tokenizer: SentencePieceTokenizer, backend: Any, pieces: Sequence[str]) -> bool:
    words = [piece.replace(_SPACE, " ") for piece in pieces]
    texts = [*_PROBES, " ".join(words), "".join(words)]
    found = [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]
    return bool(found == tokenizer.encode_batch(texts))
