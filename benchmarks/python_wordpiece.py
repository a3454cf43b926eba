"""BERT's tokenization in plain Python, as in its first release (Devlin et al., 2019)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

#: Code points of Chinese characters. Each of these characters is a word.
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def python_wordpiece(vocabulary: dict[str, int]) -> tuple[str, Callable[[str], list[int]]]:
    """A name and a function from text to ids: from transformers if it is installed, else from this file."""
    try:
        from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer, WordpieceTokenizer
    except ImportError:
        return "this folder's", lambda text: _ids(text, vocabulary)
    basic, pieces = BasicTokenizer(), WordpieceTokenizer(vocabulary, "[UNK]")
    return "transformers'", lambda text: [
        vocabulary[piece] for word in basic.tokenize(text) for piece in pieces.tokenize(word)
    ]


def _ids(text: str, vocabulary: dict[str, int]) -> list[int]:
    ids = []
    for token in _clean(text).split():
        for word in _words(_without_accents(token.lower())):
            ids += _pieces(word, vocabulary)
    return ids


def _clean(text: str) -> str:
    """The text without control characters, with spaces around Chinese characters, and with spaces as white space."""
    out = []
    for character in text:
        code = ord(character)
        if character in " \t\n\r" or unicodedata.category(character) == "Zs":
            out.append(" ")
        elif any(first <= code <= last for first, last in _CHINESE):
            out.append(f" {character} ")
        elif code not in (0, 0xFFFD) and unicodedata.category(character) not in ("Cc", "Cf"):
            out.append(character)
    return "".join(out)


def _without_accents(token: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", token) if unicodedata.category(c) != "Mn")


def _words(token: str) -> list[str]:
    """Split a token at punctuation. Each punctuation character is a word."""
    words: list[list[str]] = []
    inside = False
    for character in token:
        code = ord(character)
        other_ascii = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
        if other_ascii or unicodedata.category(character).startswith("P"):
            words.append([character])
            inside = False
        else:
            if not inside:
                words.append([])
            inside = True
            words[-1].append(character)
    return ["".join(word) for word in words]


def _pieces(word: str, vocabulary: dict[str, int]) -> list[int]:
    """The ids of a word's pieces, by greedy search for the longest piece."""
    unknown = [vocabulary["[UNK]"]]
    if len(word) > 100:
        return unknown
    ids, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start:
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                ids.append(vocabulary[piece])
                break
            end -= 1
        else:
            return unknown
        start = end
    return ids
