"""The tokenizer interface. Torch-free, so that a vocabulary can be checked without importing torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core.errors import TPError
from tp_core.interfaces.framing import Frame as Frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TokenizerFacts:
    """The facts about a vocabulary that the checks of a spec need.

    Attributes:
        vocab_size: largest id plus one.
        special: role → id, as in :class:`Tokenizer`.
        marks_words: True if the vocabulary says which ids begin a word.
        segments: the number of segments (``token_type_ids``) of a text, and of a pair.
        tokens: gives the tokens with their ids; it may take a moment.
    """

    vocab_size: int
    special: Mapping[str, int]
    marks_words: bool
    segments: tuple[int, int] = (1, 2)
    tokens: Callable[[], Mapping[str, int]] = field(default=dict, compare=False, repr=False)


class TransformersUse(NamedTuple):
    """The model that a tokenizer's files are written for, in transformers.

    Attributes:
        model_type: as in its config.json.
        input_names: the tensors that it reads, as transformers calls them.
        max_length: its longest sequence, or None.
        frames: the special tokens that its processor puts around a text, and around and between the texts of a pair;
            None where no processor says.
        masks: whether it fills masks, which texts then spell out.
    """

    model_type: str = ""
    input_names: tuple[str, ...] = ("input_ids", "attention_mask")
    max_length: int | None = None
    frames: tuple[Frame, Frame] | None = None
    masks: bool = False


class EncodedText(NamedTuple):
    """The tokens of a text and their places in it.

    Attributes:
        ids: as of :meth:`Tokenizer.encode_batch`.
        offsets: (start, end) of each token in the text's characters; ``text[start:end]`` has no white space at its
            ends. Empty (start = end) for a token that has no characters of its own.
        words: number of the word that each token belongs to, from 0; None for a special token in the text.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    words: list[int | None]


class Tokenizer(ABC):
    """Text to ids and back. ``special`` maps roles (``cls``, ``sep``, ``pad``, ``mask``, ``unk``, ``bos``, ``eos``)
    to ids; a role that the vocabulary lacks is absent.

    A tokenizer also decides on the special tokens around a text (:meth:`frame`), on what a mask in a text does to the
    spaces beside it (:meth:`encode_masked`), and on the spaces of decoded text (:meth:`decode_after`).
    """

    special: dict[str, int]
    vocab_size: int
    #: Separators that processors put between the texts of a pair where :meth:`frame` leaves it to them.
    pair_separators: int = 1

    @abstractmethod
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids without any special tokens, one list per text."""

    def encode_flat(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The ids of :meth:`encode_batch` in one array, one text after another, and where each text ends in it.

        A tokenizer that can make the array without the lists overrides this.
        """
        return flatten(self.encode_batch(texts))

    def encode_masked(self, texts: list[str]) -> list[list[int]]:
        """The ids of :meth:`encode_batch` for texts in which the mask token is spelled out."""
        mask = self.special.get("mask")
        if mask is None:
            return self.encode_batch(texts)
        return encode_around(self, texts, mask)

    def encode_with_offsets(self, texts: list[str]) -> list[EncodedText]:
        """The ids of :meth:`encode_batch`, with the place of each token in its text, and its word.

        Raises:
            TPError: the tokenizer has no offsets.
        """
        raise TPError(f"the tokenizer {type(self).__name__} gives no offsets of its tokens")

    def frame(self, pair: bool = False) -> Frame | None:
        """The special tokens that belong around a text, or around and between the texts of a pair.

        None: the tokenizer leaves it to the processor, which knows what its model needs.
        """
        return None

    @abstractmethod
    def decode(self, ids: list[int]) -> str: ...

    def decode_after(self, before: list[int], ids: list[int]) -> str:
        """The text of ids that follow others, with the space that stands between the two."""
        prompt, whole = self.decode(before), self.decode([*before, *ids])
        return whole[len(prompt) :] if whole.startswith(prompt) else self.decode(ids)

    @abstractmethod
    def token(self, index: int) -> str:
        """The token of an id, as the vocabulary writes it."""

    @abstractmethod
    def word_starts(self) -> NDArray[np.bool_] | None:
        """For each id, whether it begins a word; None when the vocabulary cannot say."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer's files; gives back the options that load them, with paths inside ``folder``."""

    def to_huggingface(self, folder: Path, use: TransformersUse) -> bool:
        """Write the files of a tokenizer of transformers that gives the same ids, special tokens included.

        Args:
            use: the model that they are for.

        Returns:
            False where transformers has no such form; nothing is written then.
        """
        return False

    def facts(self) -> TokenizerFacts:
        """The facts about this tokenizer that the checks of a spec need."""
        one, two = (self.frame(pair) for pair in (False, True))
        segments = (1 if one is None else one.segment_count, 2 if two is None else two.segment_count)
        return TokenizerFacts(
            self.vocab_size, self.special, self.word_starts() is not None, segments, self.ids_by_token
        )

    def ids_by_token(self) -> dict[str, int]:
        """All tokens with their ids."""
        return {self.token(index): index for index in range(self.vocab_size)}


def without_space(text: str, start: int, end: int) -> tuple[int, int]:
    """The offsets of a token without the white space at its ends; of white space alone, empty ones at its end."""
    token = text[start:end]
    inner = token.strip()
    if not inner:
        return end, end
    start += len(token) - len(token.lstrip())
    return start, start + len(inner)


def flatten(batch: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The ids of all texts in one array, and where each text ends in it."""
    import numpy as np  # checking a spec needs no arrays

    ends = np.cumsum(np.fromiter(map(len, batch), np.int64, len(batch)))
    return np.fromiter(chain.from_iterable(batch), np.int32, int(ends[-1]) if batch else 0), ends


def encode_around(tokenizer: Tokenizer, texts: list[str], token: int, strip_left: bool = False) -> list[list[int]]:
    """Ids of texts in which a token is spelled out that the tokenizer does not look for.

    Args:
        token: its id.
        strip_left: the token takes the white space before it, as RoBERTa's mask does.
    """
    pieces = [text.split(tokenizer.token(token)) for text in texts]
    if strip_left:
        pieces = [[*(part.rstrip() for part in parts[:-1]), parts[-1]] for parts in pieces]
    ids = iter(tokenizer.encode_batch([piece for parts in pieces for piece in parts]))
    joined = []
    for parts in pieces:
        row = list(next(ids))
        for _ in parts[1:]:
            row += [token, *next(ids)]
        joined.append(row)
    return joined
