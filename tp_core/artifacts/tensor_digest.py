"""A number that tells tensors apart by their bits, wherever they lie."""

from __future__ import annotations

import torch
from torch import Tensor

_WIDTH = 1024
#: Keeps the parts of a digest apart: odd, and with as many ones as zeros (Knuth's multiplier for 64 bits).
_FACTOR = 6364136223846793005


def tensor_digest(tensor: Tensor) -> Tensor:
    """A digest of a tensor's bits and their order, a scalar (int64) on the tensor's device.

    Sums of integers are exact in any order, so all devices come to the same number. The bits are laid out as a table;
    sums over its rows and over its columns, of which each counts by its place, tell permutations apart. It is made
    for what goes wrong by itself, and not for what somebody forges.
    """
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    if flat.storage_offset() % 8:  # a view of other weights, which cannot be read as integers of 8 bytes where it lies
        flat = flat.clone()
    whole = len(flat) // 8 * 8
    words = flat[:whole].view(torch.int64)
    covered = len(words) // _WIDTH * _WIDTH
    table = words[:covered].view(-1, _WIDTH)
    parts = (table.sum(dim=0), table.sum(dim=1), words[covered:], flat[whole:].long())
    found = torch.zeros((), dtype=torch.int64, device=tensor.device)
    for part in parts:
        # The highest bit of a sum would count the same at all places, did it not reach the lower ones.
        spread = part ^ (part >> 31)
        found = found * _FACTOR + (spread * torch.arange(1, 2 * len(part) + 1, 2, device=part.device)).sum()
    return found
