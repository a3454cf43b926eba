"""The special tokens that a tokenizer puts around texts. Torch-free."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Frame(NamedTuple):
    """Special tokens around one text, or around and between the two texts of a pair.

    ``special`` and ``special_segments`` have one tuple for the place before the first text and one for the place after
    each text.

    Attributes:
        special: ids of the special tokens.
        special_segments: the segment (``token_type_ids``) of each special token.
        segments: the segment of the tokens of each text.
    """

    special: tuple[tuple[int, ...], ...] = ((), ())
    special_segments: tuple[tuple[int, ...], ...] = ((), ())
    segments: tuple[int, ...] = (0,)

    @property
    def head(self) -> tuple[int, ...]:
        """The ids before the first text."""
        return self.special[0]

    @property
    def tail(self) -> tuple[int, ...]:
        """The ids after the last text."""
        return self.special[-1]

    @property
    def special_count(self) -> int:
        """Number of special tokens."""
        return sum(map(len, self.special))

    @property
    def segment_count(self) -> int:
        """The largest segment number plus one."""
        return 1 + max((*self.segments, *(segment for part in self.special_segments for segment in part)), default=0)

    def join(self, *texts: Any) -> NDArray[np.int32]:
        """The ids of texts with the special tokens around them.

        Args:
            texts: the ids of each text, (length,).
        """
        import numpy as np  # checking a spec needs no arrays

        special = _arrays(self)
        parts = [special[0]]
        for text, after in zip(texts, special[1:], strict=True):
            parts += [text, after]
        return np.concatenate(parts, dtype=np.int32, casting="unsafe")  # NumPy takes an empty list for floats

    def types(self, *lengths: int) -> NDArray[np.int32]:
        """The segment of each id that :meth:`join` returns for texts of these lengths."""
        import numpy as np

        found = np.zeros(self.special_count + sum(lengths), dtype=np.int32)
        at = len(self.special[0])
        found[:at] = self.special_segments[0]
        for segment, length, after in zip(self.segments, lengths, self.special_segments[1:], strict=True):
            found[at : at + length] = segment
            at += length
            found[at : at + len(after)] = after
            at += len(after)
        return found

    def without_segments(self) -> Frame:
        """The same frame with all tokens in segment 0."""
        return self._replace(
            special_segments=tuple((0,) * len(part) for part in self.special), segments=(0,) * len(self.segments)
        )


@functools.lru_cache(maxsize=64)
def _arrays(frame: Frame) -> list[NDArray[np.int32]]:
    """The special tokens of a frame as arrays, cached."""
    import numpy as np

    return [np.array(part, dtype=np.int32) for part in frame.special]


#: Frames without special tokens: for one text, and for a pair of texts.
BARE = (Frame(), Frame(((), (), ()), ((), (), ()), (0, 1)))


def role_frame(special: Mapping[str, int], pair: bool, separators: int = 1) -> Frame | None:
    """``[CLS] a [SEP]`` or ``[CLS] a [SEP] b [SEP]``.

    A token that the vocabulary lacks is left out. Segment 1 begins with the second text, as in BERT.

    Args:
        special: role → id.
        pair: True for the frame of a pair of texts.
        separators: number of separators between the texts of a pair: 2 in RoBERTa.

    Returns:
        None if the vocabulary has neither of the two tokens.
    """
    if not {"cls", "sep"} & special.keys():
        return None
    head = (special["cls"],) if "cls" in special else ()
    tail = (special["sep"],) if "sep" in special else ()
    if not pair:
        return Frame((head, tail), ((0,) * len(head), (0,) * len(tail)))
    between = tail * separators
    segments = ((0,) * len(head), (0,) * len(between), (1,) * len(tail))
    return Frame((head, between, tail), segments, (0, 1))
