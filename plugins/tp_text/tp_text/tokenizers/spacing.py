"""Spaces of decoded text. Needs no tokenizer library."""

from __future__ import annotations

import re

#: Ranges of characters that are written without spaces between them: Chinese characters, kana, their punctuation and
#: the full-width forms. Hangul is written with spaces.
_UNSPACED = (
    "\u2e80-\u2fdf\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff65\U00020000-\U0003ffff"
)
#: Quotation marks, dashes and dots that Chinese text uses, and digits: close to a Chinese character, not to others.
_EITHER = "0-9%\u00b7\u2014\u2018\u2019\u201c\u201d\u2026"

_BETWEEN = re.compile(f"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}{_EITHER}])|(?<=[{_EITHER}]) (?=[{_UNSPACED}])")


def without_chinese_spaces(text: str) -> str:
    """Text without the spaces that a tokenizer of words puts between Chinese characters, and beside their digits."""
    return _BETWEEN.sub("", text)


def cleaned_up(text: str) -> str:
    """Text as transformers' ``clean_up_tokenization_spaces`` leaves it: no space before punctuation and clitics."""
    for spaced in (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(spaced, spaced.strip())
    return text
