"""The tokenizer interface. Torch-free, so that a vocabulary can be checked without importing torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tokenizer(ABC):
    """Text to ids and back. ``special`` maps roles (``cls``, ``sep``, ``pad``, ``mask``, ``unk``, ``bos``, ``eos``)
    to ids; a role that the vocabulary lacks is absent."""

    special: dict[str, int]
    vocab_size: int

    @abstractmethod
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without any special tokens, one list per text."""

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
