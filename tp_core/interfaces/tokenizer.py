"""The tokenizer interface. Torch-free, so that vocabularies can be checked without importing torch."""

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
    """Facts about a vocabulary, for the checks of a spec.

    Attributes:
        vocab_size: largest id plus one.
        special: role → id, as in :class:`Tokenizer`.
        marks_words: True if the vocabulary marks the ids that begin a word.
        segments: number of segments (``token_type_ids``) of a text, and of a pair.
        frames: :meth:`Tokenizer.frame` of a text, and of a pair.
        tokens: a function that returns token → id; it may be slow.
        tokenizer: a function that returns the tokenizer; it may be slow. None if it is not known.
    """

    vocab_size: int
    special: Mapping[str, int]
    marks_words: bool
    segments: tuple[int, int] = (1, 2)
    frames: tuple[Frame | None, Frame | None] = (None, None)
    tokens: Callable[[], Mapping[str, int]] = field(default=dict, compare=False, repr=False)
    tokenizer: Callable[[], Tokenizer] | None = field(default=None, compare=False, repr=False)


class TransformersUse(NamedTuple):
    """The transformers model for which tokenizer files are written.

    Attributes:
        model_type: ``model_type`` in its config.json.
        input_names: names in transformers of the tensors that the model reads.
        max_length: maximum length of a sequence, or None.
        frames: the special tokens around a text, and those around and between the texts of a pair; None if no
            processor defines them.
        masks: True if the model predicts masked tokens, so that texts may contain the mask token.
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
    """Converts texts to ids and ids to texts.

    A tokenizer also defines the special tokens around a text (:meth:`frame`), the treatment of spaces beside a mask
    token in a text (:meth:`encode_masked`), and the spaces of decoded text (:meth:`decode_after`).

    Attributes:
        special: role (``cls``, ``sep``, ``pad``, ``mask``, ``unk``, ``bos``, ``eos``) → id; without the roles that the
            vocabulary lacks.
        vocab_size: largest id plus one.
    """

    special: dict[str, int]
    vocab_size: int
    #: Number of separators that processors put between the texts of a pair, if :meth:`frame` returns None.
    pair_separators: int = 1

    @abstractmethod
    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, without special tokens; one list per text."""

    def encode_flat(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The ids of :meth:`encode_batch`, concatenated into one array, and the end index of each text.

        A tokenizer that can make the array directly, without lists, overrides this.
        """
        return flatten(self.encode_batch(texts))

    def encode_masked(self, texts: list[str]) -> list[list[int]]:
        """The ids of :meth:`encode_batch`, for texts that contain the mask token, such as ``[MASK]``."""
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

        None if the tokenizer does not define them; the processor then does.
        """
        return None

    @abstractmethod
    def decode(self, ids: list[int]) -> str: ...

    def decode_after(self, before: list[int], ids: list[int]) -> str:
        """The text of ``ids`` when they follow the ids ``before``, including the space between the two texts."""
        prompt, whole = self.decode(before), self.decode([*before, *ids])
        return whole[len(prompt) :] if whole.startswith(prompt) else self.decode(ids)

    @abstractmethod
    def token(self, index: int) -> str:
        """The token of an id, as it is written in the vocabulary."""

    @abstractmethod
    def word_starts(self) -> NDArray[np.bool_] | None:
        """An array with True for each id that begins a word; None if the vocabulary does not mark words."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer's files and return the options that load them, with paths inside ``folder``."""

    def to_huggingface(self, folder: Path, use: TransformersUse) -> bool:
        """Write the files of a transformers tokenizer that gives the same ids, special tokens included.

        Args:
            use: the model for which they are written.

        Returns:
            False if transformers has no equivalent tokenizer; nothing is written then.
        """
        return False

    def facts(self) -> TokenizerFacts:
        """The facts about this tokenizer that the checks of a spec use."""
        one, two = (self.frame(pair) for pair in (False, True))
        segments = (1 if one is None else one.segment_count, 2 if two is None else two.segment_count)
        marks = self.word_starts() is not None
        return TokenizerFacts(
            self.vocab_size, self.special, marks, segments, (one, two), self.ids_by_token, lambda: self
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
    """The ids of all texts in one array, and the end index of each text in it."""
    import numpy as np  # checking a spec needs no arrays

    ends = np.cumsum(np.fromiter(map(len, batch), np.int64, len(batch)))
    return np.fromiter(chain.from_iterable(batch), np.int32, int(ends[-1]) if batch else 0), ends


def encode_around(tokenizer: Tokenizer, texts: list[str], token: int, strip_left: bool = False) -> list[list[int]]:
    """Encode texts that contain a special token which the tokenizer itself does not recognise.

    Args:
        tokenizer: encodes the text between the tokens.
        texts: texts that may contain the token.
        token: id of the token.
        strip_left: True if the token absorbs the white space before it, as RoBERTa's mask does.
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
