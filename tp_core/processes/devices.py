"""The device of a process."""

from __future__ import annotations

import torch

from tp_core.errors import TPError


def pick_device(wanted: str, local_rank: int = 0) -> torch.device:
    """The device that a spec asks for.

    Raises:
        TPError: the device kind is unknown; or CUDA is requested, but missing or without a device for this process.
    """
    wanted = str(wanted)  # also accepts a torch.device
    if wanted not in ("auto", "cpu", "cuda"):
        raise TPError(f"device: expected auto, cpu or cuda, got '{wanted}'")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise TPError("device: cuda is asked for, and torch finds no CUDA device")
    if wanted == "cpu" or not available:
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise TPError(f"LOCAL_RANK is {local_rank}, and this machine has {count} CUDA device{'s' if count > 1 else ''}")
    return torch.device("cuda", local_rank)
