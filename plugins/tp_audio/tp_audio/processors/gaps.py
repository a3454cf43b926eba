"""Counts the characters of texts that a vocabulary lacks. A model cannot learn to write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tp_core.interfaces import Tokenizer

#: Maximum number of words in the cache of missing characters.
_WORDS = 1 << 16
#: Maximum number of characters that are listed.
_SHOWN = 10


class Gaps:
    """Counts the characters of texts that become the unknown token.

    If a word contains the unknown token, its characters that are unknown by themselves count as missing. If none of
    them is, all characters of the word count.

    Args:
        tokenizer: the tokenizer.
        known: returns True for ids of tokens that are neither the unknown token nor white space.
    """

    def __init__(self, tokenizer: Tokenizer, known: Callable[[int], bool]) -> None:
        self._tokenizer, self._known = tokenizer, known
        self._unknown = tokenizer.special.get("unk")
        self._words: dict[str, str] = {}
        self._alone: dict[str, bool] = {}
        self.reset()

    def reset(self) -> None:
        """Reset all counts."""
        self._texts = self._incomplete = self._characters = 0
        self._lacking: Counter[str] = Counter()

    def add(self, text: str, ids: list[int]) -> None:
        """Count a text that was tokenized into ``ids``."""
        words = text.split()
        self._texts += 1
        self._characters += sum(map(len, words))
        if self._unknown is None or self._unknown not in ids:
            return
        self._incomplete += 1
        for word in words:
            if word not in self._words:
                if len(self._words) >= _WORDS:
                    self._words.clear()
                self._words[word] = self._of_word(word)
            self._lacking.update(self._words[word])

    def _of_word(self, word: str) -> str:
        (ids,) = self._tokenizer.encode_batch([word])
        if self._unknown not in ids:
            return ""
        new = [character for character in dict.fromkeys(word) if character not in self._alone]
        for character, alone in zip(new, self._tokenizer.encode_batch(new)):
            self._alone[character] = any(map(self._known, alone))
        return "".join(each for each in word if not self._alone[each]) or word

    def remark(self) -> str | None:
        """A line about the missing characters; None if the vocabulary lacks none."""
        if not self._incomplete:
            return None
        texts = f"{self._incomplete:,} of {self._texts:,} texts contain characters that the vocabulary lacks"
        if not self._lacking:
            return f"{texts}: white space"
        most = self._lacking.most_common(_SHOWN)
        more = len(self._lacking) - len(most)
        listed = ", ".join(f"'{character}' {count:,}" for character, count in most)
        share = f"{self._lacking.total():,} of {self._characters:,} characters"
        return f"{texts}, {share}: {listed}" + (f" and {more:,} others" if more else "")
