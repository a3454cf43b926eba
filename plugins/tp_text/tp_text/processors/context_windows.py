"""Windows of a tokenized text that share tokens, and the tokens of a span of characters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def windows(length: int, room: int, stride: int) -> list[range]:
    """The tokens of each window, as by the truncation of Hugging Face's tokenizers library with the same ``stride``.

    The last window ends with the text and may be shorter.

    Args:
        length: number of tokens of the text.
        room: maximum number of tokens of a window.
        stride: number of tokens that a window shares with the window before it; less than ``room``.
    """
    starts = range(0, max(1, length - stride), room - stride)
    return [range(start, min(start + room, length)) for start in starts]


def token_span(offsets: NDArray[Any], begin: int, end: int) -> tuple[int, int] | None:
    """The first and the last token of the characters ``begin`` to ``end`` (exclusive); None if they have no token.

    Args:
        offsets: (tokens, 2), the first character of each token and the one after its last, in ascending order.
    """
    (own,) = np.nonzero(offsets[:, 1] > offsets[:, 0])
    inside = own[(offsets[own, 1] > begin) & (offsets[own, 0] < end)]
    return (int(inside[0]), int(inside[-1])) if len(inside) else None
