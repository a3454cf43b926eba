"""``starts.jsonl`` of a run's folder: on what the run has computed, since that decides the last bits of its numbers."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from tp_core.files.whole_files import write_whole
from tp_core.training.step_lines import as_lines, lines_before
from tp_core.training.strategies.base import Strategy

STARTS = "starts.jsonl"


def machine(strategy: Strategy) -> dict[str, Any]:
    """The facts beside the spec and the data that decide last bits: the order of sums follows from them."""
    device = strategy.device
    return {
        "processes": strategy.world_size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def record_start(run: Path, step: int, now: dict[str, Any]) -> list[str]:
    """Note on what the steps from ``step`` on are computed; what was noted for these steps is void.

    Returns:
        The differences from what the steps before were computed on, in words.
    """
    path = run / STARTS
    kept = [*lines_before(path, step)]
    before = kept[-1] if kept else now
    write_whole(path, as_lines([*kept, {"step": step, **now}]))
    other = [name for name, value in now.items() if before.get(name, value) != value]
    return [f"{name} (was {before[name]}, is {now[name]})" for name in other]
