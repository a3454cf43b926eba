"""Fast tokenization by caching the ids of words."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.interfaces.tokenizer import flatten
from tp_text.tokenizers.rust import library_ids

#: Maximum number of characters that are processed together; it limits the size of the arrays.
_TOGETHER = 1 << 18
#: Maximum number of cached words and of characters in them; above it, the cache is cleared. It stays below 100 MB.
_WORDS, _CHARACTERS = 1 << 18, 1 << 22

# Kinds of characters: not known yet; part of a word; separator without a token, like white space; word of its own,
# like punctuation and Chinese characters.
_UNKNOWN, _INSIDE, _BETWEEN, _ALONE = range(4)
_CODES = 0x110000


class WordMemo:
    """Cache that composes the ids of texts from the ids of their words.

    The result equals that of the library for pipelines that normalise and split a text character by character and
    encode each word independently: WordPiece with BERT's normalisation, and whole words. Each character is tested once
    with the library to find out if it separates words. The words between separators are encoded by the library.

    Args:
        backend: a ``tokenizers.Tokenizer`` with such a pipeline, in which a line feed separates words. Texts that
            contain a special token are encoded by the library as a whole.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._special: list[str] = []
        if not backend.encode_special_tokens:
            self._special = [token.content for token in backend.get_added_tokens_decoder().values()]
        self._lock = threading.Lock()
        self._forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return WordMemo, (self._backend,)

    def _forget(self) -> None:
        self._kinds = np.full(_CODES, _UNKNOWN, np.uint8)
        # A unit is a word whose ids are known; they are ids[begins[unit] : begins[unit] + lengths[unit]].
        self._units: dict[str, int] = defaultdict(count().__next__)
        self._unit_of_code = np.zeros(_CODES, np.int32)
        self._ids = np.empty(0, np.int32)
        self._begins = np.empty(0, np.int64)
        self._lengths = np.empty(0, np.int64)
        self._characters = 0

    def encode(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The concatenated ids of all texts, and the end of each text in them.

        Raises:
            DataError: a text is not valid Unicode.
        """
        # If another thread holds the lock, the library is used directly. Waiting could deadlock after a fork.
        if not self._lock.acquire(blocking=False):
            return flatten(library_ids(self._backend, texts))
        try:
            parts = [self._encode(group) for group in _groups(texts)]
        except UnicodeEncodeError:
            return flatten(library_ids(self._backend, texts))  # raises an error that names the character
        except BaseException:
            self._forget()  # the cache may have words without ids
            raise
        finally:
            self._lock.release()
        if len(parts) == 1:
            return parts[0]
        shifts = np.cumsum([0, *(len(ids) for ids, _ in parts)])
        ends = [ends + shift for (_, ends), shift in zip(parts, shifts)]
        return (
            np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in parts)]),
            np.concatenate([np.empty(0, np.int64), *ends]),
        )

    def _encode(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        joined = "\n".join([*texts, ""])
        if not any(token in joined for token in self._special):
            return self._by_words(texts, joined)
        whole = [i for i, text in enumerate(texts) if any(token in text for token in self._special)]
        others = list(texts)
        for i in whole:
            others[i] = ""
        ids, ends = self._by_words(others, "\n".join([*others, ""]))
        pieces: list[Any] = np.split(ids, ends[:-1])
        for i, row in zip(whole, library_ids(self._backend, [texts[i] for i in whole])):
            pieces[i] = np.array(row, np.int32)
        return np.concatenate(pieces), np.cumsum([len(piece) for piece in pieces])

    def _by_words(self, texts: list[str], joined: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Ids and ends of texts without special tokens; ``joined`` is the texts, each followed by a line feed."""
        if len(self._units) > _WORDS or self._characters > _CHARACTERS:
            self._forget()
        codes = np.frombuffer(joined.encode("utf-32-le"), "<u4")
        known = len(self._units)
        kinds = self._kinds_of(codes)
        inside = np.zeros(len(codes) + 1, np.bool_)
        np.equal(kinds, _INSIDE, out=inside[1:])
        now, before = inside[1:], inside[:-1]
        positions = np.flatnonzero((now & ~before) | (kinds == _ALONE))
        alone = kinds[positions] == _ALONE
        # Each word followed by one space: the first separator after a word is replaced by it, the others are dropped.
        packed = np.where(now, codes, np.uint32(ord(" ")))[now | before]
        words = packed.tobytes().decode("utf-32-le").split(" ")[:-1]

        units = np.empty(len(positions), np.int64)
        units[alone] = self._unit_of_code[codes[positions[alone]]]
        units[~alone] = np.fromiter(map(self._units.__getitem__, words), np.int64, len(words))
        self._learn(list(islice(self._units, known, None)))

        lengths = self._lengths[units]
        ends = np.zeros(len(units) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        places = np.repeat(self._begins[units] - ends[:-1], lengths) + np.arange(ends[-1])
        text_ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        return self._ids[places], ends[np.searchsorted(positions, text_ends)]

    def _kinds_of(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        kinds = self._kinds[codes]
        unknown = kinds == _UNKNOWN
        if not unknown.any():
            return kinds
        normalizer, pre_tokenizer = self._backend.normalizer, self._backend.pre_tokenizer
        for code in set(codes[unknown].tolist()):
            character = chr(code)
            probe = normalizer.normalize_str(f"a{character}a")
            parts = [part for part, _ in pre_tokenizer.pre_tokenize_str(probe)]
            if parts == ["a", "a"]:
                self._kinds[code] = _BETWEEN
            elif len(parts) == 3 and parts[0] == parts[2] == "a":
                self._kinds[code] = _ALONE
                self._unit_of_code[code] = self._units[character]
            else:
                self._kinds[code] = _INSIDE
        return self._kinds[codes]

    def _learn(self, words: list[str]) -> None:
        """Get the ids of new words from the library and add them to the cache."""
        if not words:
            return
        ids, ends = flatten(self._ids_of(words))
        lengths = np.diff(ends, prepend=0)
        self._begins = np.concatenate([self._begins, len(self._ids) + ends - lengths])
        self._lengths = np.concatenate([self._lengths, lengths])
        self._ids = np.concatenate([self._ids, ids])
        self._characters += sum(map(len, words))

    def _ids_of(self, words: list[str]) -> list[list[int]]:
        # Words of ASCII letters and digits are never split before the model, so the model is called directly. This is
        # four times as fast as the whole pipeline.
        plain = [word for word in words if word.isascii() and word.isalnum()]
        forms = self._backend.normalizer.normalize_str(" ".join(plain)).split(" ")
        model = self._backend.model
        known = {word: [token.id for token in model.tokenize(form)] for word, form in zip(plain, forms)}
        others = [word for word in words if word not in known]
        known.update(zip(others, library_ids(self._backend, others)))
        return [known[word] for word in words]


def _groups(texts: list[str]) -> Iterator[list[str]]:
    """Split texts into groups of consecutive texts with about ``_TOGETHER`` characters each."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    cuts = np.flatnonzero(np.diff(ends // _TOGETHER)) + 1
    bounds = [0, *cuts.tolist(), len(texts)]
    return (texts[start:end] for start, end in pairwise(bounds) if start < end)
