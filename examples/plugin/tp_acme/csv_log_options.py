"""Options of the logger ``acme.csv``. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import LoggerConfig


class CsvLogConfig(LoggerConfig):
    """Writes one CSV file per metric to ``csv/`` in the run's folder."""

    implementation: ClassVar[str] = "tp_acme.csv_log:CsvLog"

    metrics: list[str] | None = Field(None, description="names of the metrics to write; default: all")
