"""A logger that writes CSV."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tp_acme.csv_log_options import CsvLogConfig
from tp_core import LoggedRun, Logger


class CsvLog(Logger):
    """Appends a line for each value. Pictures and texts are left out."""

    def __init__(self, config: CsvLogConfig, run: LoggedRun) -> None:
        self.folder, self.metrics = run.folder / "csv", config.metrics
        self.folder.mkdir(exist_ok=True)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if self.metrics is None or name in self.metrics:
                with open(self.folder / f"{name.replace('/', '.')}.csv", "a", encoding="utf-8") as file:
                    file.write(f"{step},{value}\n")

    def picture(self, step: int, name: str, pixels: torch.Tensor) -> None:
        """Pictures have no place in CSV."""

    def text(self, step: int, name: str, text: str) -> None:
        """Texts have no place in CSV."""

    def close(self) -> None:
        """Every line is written at once."""
