"""The interface of loggers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class LoggedRun:
    """A run, as passed to loggers.

    Attributes:
        folder: the run's folder; file names of loggers in it must be unique.
        name: the spec's name.
        spec: the resolved spec as plain values.
        step: step from which the run resumes; 0 for a new run.
    """

    folder: Path
    name: str
    spec: Mapping[str, Any]
    step: int = 0


class Logger(ABC):
    """Records the figures of a run. Only the first process has a logger.

    A killed run resumes from its newest checkpoint. Steps after it are logged again, with the same values.
    """

    @abstractmethod
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log the numbers of a step: losses, metrics, learning rate and speed, named as in ``metrics.jsonl``."""

    @abstractmethod
    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        """Log an image, (3, height, width) uint8."""

    @abstractmethod
    def text(self, step: int, name: str, text: str) -> None:
        """Log a text in Markdown."""

    @abstractmethod
    def close(self) -> None:
        """Write pending data. The run has ended or will be resumed by another process."""
