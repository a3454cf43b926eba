"""Identities of samples by content: equal contents have equal identities on all machines. Torch-free."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def item_id(*parts: bytes | NDArray[Any]) -> int:
    """A hash of contents as a signed integer of 64 bits. Equal parts have equal hashes, different parts do not.

    Args:
        parts: bytes or arrays. The dtype and the shape of an array are part of its content.
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
