"""Spaces of decoded text. Needs no tokenizer library."""

from __future__ import annotations

import re

#: Ranges of characters that are written without spaces between them: Chinese characters, kana, their punctuation and
#: the full-width forms. Hangul is written with spaces.
_UNSPACED = (
    "\u2e80-\u2fdf\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff65\U00020000-\U0003ffff"
)
#: Quotation marks, dashes and dots of Chinese text, and digits: no space next to a Chinese character only.
_EITHER = "0-9%\u00b7\u2014\u2018\u2019\u201c\u201d\u2026"

_BETWEEN = re.compile(f"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}{_EITHER}])|(?<=[{_EITHER}]) (?=[{_UNSPACED}])")


def without_chinese_spaces(text: str) -> str:
    """Remove the spaces that a word tokenizer's decoder puts between Chinese characters and next to their digits."""
    return _BETWEEN.sub("", text)


def cleaned_up(text: str) -> str:
    """Remove spaces before punctuation and clitics, as ``clean_up_tokenization_spaces`` does in transformers."""
    for spaced in (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(spaced, spaced.strip())
    return text
