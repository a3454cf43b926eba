"""The logger ``acme.csv``."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tp_acme.csv_log_options import CsvLogConfig
from tp_core import LoggedRun, Logger


class CsvLog(Logger):
    """Appends a line to a CSV file for each value. It ignores pictures and texts."""

    def __init__(self, config: CsvLogConfig, run: LoggedRun) -> None:
        self.folder, self.metrics = run.folder / "csv", config.metrics
        self.folder.mkdir(exist_ok=True)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if self.metrics is None or name in self.metrics:
                with open(self.folder / f"{name.replace('/', '.')}.csv", "a", encoding="utf-8") as file:
                    file.write(f"{step},{value}\n")

    def picture(self, step: int, name: str, pixels: torch.Tensor) -> None:
        """Do nothing: CSV files cannot contain pictures."""

    def text(self, step: int, name: str, text: str) -> None:
        """Do nothing: the CSV files only contain numbers."""

    def close(self) -> None:
        """Do nothing: each line has already been written."""
