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
    """A run, as loggers know it.

    Attributes:
        folder: of the run; what a logger writes there has a name of its own.
        name: of the spec.
        spec: the resolved spec as plain values.
        step: the step that the run goes on from; 0 for a new run.
    """

    folder: Path
    name: str
    spec: Mapping[str, Any]
    step: int = 0


class Logger(ABC):
    """Shows the figures of a run. Only the first process has one.

    A run that was killed goes on from its newest checkpoint: steps behind it are logged again, with the same values.
    """

    @abstractmethod
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step: losses, metrics, the learning rate, the speed, by their names in ``metrics.jsonl``."""

    @abstractmethod
    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        """A picture, (3, height, width) uint8."""

    @abstractmethod
    def text(self, step: int, name: str, text: str) -> None:
        """A text, in Markdown."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left. The run has ended, or will go on in another process."""
