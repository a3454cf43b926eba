"""Options of the logger that writes CSV. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core import LoggerConfig


class CsvLogConfig(LoggerConfig):
    """One CSV file for each metric, in ``csv/`` of the run's folder."""

    implementation: ClassVar[str] = "tp_acme.csv_log:CsvLog"

    metrics: list[str] | None = Field(None, description="names of metrics; unset: all of them")
