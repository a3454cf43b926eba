"""A checksum of a model's weights."""

from __future__ import annotations

import hashlib

from tp_core.artifacts.tensor_digest import tensor_digest
from tp_core.model import Model


def checksum(model: Model) -> str:
    """A digest of the names, shapes and values of a model's weights. It is the same on every device."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in model.weights().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {int(tensor_digest(tensor))}\n".encode())
    return digest.hexdigest()
