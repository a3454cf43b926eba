"""A digest of a tensor's bits, the same on every device."""

from __future__ import annotations

import torch
from torch import Tensor

_WIDTH = 1024
#: Multiplier that separates the parts of a digest: odd, with as many ones as zeros (Knuth's multiplier for 64 bits).
_FACTOR = 6364136223846793005


def tensor_digest(tensor: Tensor) -> Tensor:
    """A digest of a tensor's bits and their order, a scalar (int64) on the tensor's device.

    Integer sums are exact in any order, so all devices compute the same number. The bits are laid out as a table. The
    sums over its rows and over its columns are weighted by position, which detects permutations. The digest detects
    accidental changes, not forgery.
    """
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    if flat.storage_offset() % 8:  # an unaligned view cannot be read as 8-byte integers
        flat = flat.clone()
    whole = len(flat) // 8 * 8
    words = flat[:whole].view(torch.int64)
    covered = len(words) // _WIDTH * _WIDTH
    table = words[:covered].view(-1, _WIDTH)
    parts = (table.sum(dim=0), table.sum(dim=1), words[covered:], flat[whole:].long())
    found = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for part in parts:
        # Mix the high bits into the low ones; otherwise the highest bit of a sum would count the same at all positions.
        spread = part ^ (part >> 31)
        found = found * _FACTOR + (spread * torch.arange(1, 2 * len(part) + 1, 2, device=part.device)).sum()
    return found
