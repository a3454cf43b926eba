"""Metrics of a window of steps, added up on the device and read once per log line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_core.model import ModelOutput


class Sums:
    """Named sums on the device, with the count that each is divided by."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._values: dict[str, Tensor] = {}

    def add(self, name: str, total: Tensor, count: Tensor | float) -> None:
        """Add a total and its count (both scalars) without waiting for the device."""
        if not isinstance(count, Tensor):
            count = torch.full((), float(count), device=self.device)
        pair = torch.stack([total.detach().float(), count.detach().float()])
        self._values[name] = self._values[name] + pair if name in self._values else pair

    def add_output(self, output: ModelOutput) -> None:
        """Add the metrics of one micro-batch."""
        for target, result in output.outputs.items():
            for metric, (total, count) in result.metrics.items():
                self.add(f"{target}/{metric}", total, count)

    def merge(self, other: Sums, skip: Tensor) -> None:
        """Add other sums, or zeros where the flag ``skip`` (a scalar) is true, without waiting for the device."""
        pairs = torch.stack(list(other._values.values()))
        for name, pair in zip(other._values, torch.where(skip, torch.zeros_like(pairs), pairs).unbind()):
            self._values[name] = self._values[name] + pair if name in self._values else pair

    def names(self) -> list[str]:
        return list(self._values)

    def align(self, names: list[str]) -> None:
        """Put the sums into the order of ``names``, with zeros for those that are not there."""
        zeros = torch.zeros(2, device=self.device)
        self._values = {name: self._values.get(name, zeros) for name in names}

    def read(self, all_reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Means over all processes, NaN for a mean of nothing; this waits for the device, once."""
        if not self._values:
            return {}
        values = all_reduce(torch.stack(list(self._values.values()))).tolist()
        return {name: total / count if count else math.nan for name, (total, count) in zip(self._values, values)}

    def reset(self) -> None:
        self._values = {}

    def state(self) -> dict[str, Tensor]:
        return dict(self._values)

    def load(self, state: dict[str, Tensor]) -> None:
        self._values = {name: value.to(self.device) for name, value in state.items()}


class MetricsFile:
    """``metrics.jsonl``: one object per log step and one per evaluation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut(self, step: int) -> None:
        """Drop what was written after ``step``, and a line that a crash left half-written."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError):
                continue
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept))
        os.replace(temporary, self.path)

    def write(self, values: dict[str, Any]) -> None:
        """Append a line; what is not finite, which JSON does not have, is written as null."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
        with open(self.path, "a") as file:
            file.write(json.dumps(plain, allow_nan=False) + "\n")


class TensorBoard:
    """Scalars for TensorBoard; imported when first used."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, step: int, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, (int, float)) and name != "step":
                self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        """A picture, (3, height, width) uint8."""
        self._writer.add_image(name, pixels, step)

    def text(self, step: int, name: str, text: str) -> None:
        """A text, in Markdown."""
        self._writer.add_text(name, text, step)

    def close(self) -> None:
        self._writer.close()
