"""Computations that autocast must not make coarser."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> AbstractContextManager[Any]:
    """No autocast on the tensor's device; the meta device, on which models are priced, knows none."""
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)
