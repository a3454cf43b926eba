"""Identities of what samples hold: those of equal contents are equal, in any process on any machine. Torch-free."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def item_id(*parts: bytes | NDArray[Any]) -> int:
    """A number of contents, of 64 bits with a sign: the same for equal parts, and for no others.

    Args:
        parts: bytes, or arrays, whose types of numbers and shapes count as a part of their content.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, np.ndarray):
            little = part.astype(part.dtype.newbyteorder("<"), order="C", copy=False)
            digest.update(f"{little.dtype.str}{part.shape}".encode())
            digest.update(little.data)
        else:
            digest.update(f"{len(part)}:".encode())
            digest.update(part)
    return int.from_bytes(digest.digest(), "little", signed=True)
