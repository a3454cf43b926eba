"""``starts.jsonl`` in a run's folder: the machine and software of each start, which influence rounding. Torch-free."""

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
    """Facts besides the spec and data that influence rounding, since they decide the order of sums."""
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
    """Record the machine for the steps from ``step`` on; earlier records for these steps are removed.

    Returns:
        Descriptions of the differences from the machine of the steps before.
    """
    path = run / STARTS
    kept = [*lines_before(path, step)]
    before = kept[-1] if kept else now
    write_whole(path, as_lines([*kept, {"step": step, **now}]))
    other = [name for name, value in now.items() if before.get(name, value) != value]
    return [f"{name} (was {before[name]}, is {now[name]})" for name in other]
