"""The tokenizer interface. Torch-free, so that a vocabulary can be checked without importing torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TokenizerFacts(NamedTuple):
    """What checking a spec asks of a vocabulary.

    Attributes:
        vocab_size: largest id plus one.
        special: role → id, as in :class:`Tokenizer`.
        marks_words: whether the vocabulary says which ids begin a word.
    """

    vocab_size: int
    special: Mapping[str, int]
    marks_words: bool


class Tokenizer(ABC):
    """Text to ids and back. ``special`` maps roles (``cls``, ``sep``, ``pad``, ``mask``, ``unk``, ``bos``, ``eos``)
    to ids; a role that the vocabulary lacks is absent."""

    special: dict[str, int]
    vocab_size: int

    @abstractmethod
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without any special tokens, one list per text."""

    def encode_flat(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The ids of :meth:`encode_batch` in one array, one text after another, and where each text ends in it.

        A tokenizer that can make the array without the lists overrides this.
        """
        return flatten(self.encode_batch(texts))

    @abstractmethod
    def decode(self, ids: list[int]) -> str: ...

    @abstractmethod
    def token(self, index: int) -> str:
        """The token of an id, as the vocabulary writes it."""

    @abstractmethod
    def word_starts(self) -> NDArray[np.bool_] | None:
        """For each id, whether it begins a word; None when the vocabulary cannot say."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer's files; gives back the options that load them, with paths inside ``folder``."""

    def to_huggingface(self, folder: Path) -> bool:
        """Write the files of a tokenizer of transformers that gives the same ids; False where there is no such form."""
        return False

    def facts(self) -> TokenizerFacts:
        """What checking a spec asks of this tokenizer."""
        return TokenizerFacts(self.vocab_size, self.special, self.word_starts() is not None)


def flatten(batch: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The ids of all texts in one array, and where each text ends in it."""
    import numpy as np  # checking a spec needs no arrays

    ends = np.cumsum(np.fromiter(map(len, batch), np.int64, len(batch)))
    return np.fromiter(chain.from_iterable(batch), np.int32, int(ends[-1]) if batch else 0), ends
