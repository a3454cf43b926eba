"""Where the figures of a run are written: ``metrics.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from tp_core.metrics.plain import as_json
from tp_core.whole_files import write_whole


class MetricsFile:
    """``metrics.jsonl``: one object per log step and one per evaluation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut(self, step: int, evaluated: bool = True) -> None:
        """Drop what was written after ``step``, and a line that a crash left half-written.

        Args:
            evaluated: the evaluation after ``step`` stays; it is made again if not.
        """
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                values = json.loads(line)
                again = not evaluated and values["step"] == step and any(name.startswith("eval/") for name in values)
                if values["step"] <= step and not again:
                    kept.append(line)
            except (ValueError, KeyError):
                continue
        write_whole(self.path, "".join(f"{line}\n" for line in kept))

    def write(self, values: dict[str, Any]) -> None:
        """Append a line; what is not finite, which JSON does not have, is written as null."""
        with open(self.path, "a") as file:
            file.write(as_json(values) + "\n")


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
