"""Combines all loggers of a run. A failing logger does not stop the training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from tp_core.errors import describe_error
from tp_core.options.choice import Chosen
from tp_core.packages.plugin_errors import built_by
from tp_core.packages.third_party import interrupts
from tp_core.training.loggers.base import LoggedRun, Logger


class Loggers(Logger):
    """Forwards the figures of a run to each of its loggers.

    A logger that raises is reported once and then skipped. Its figures are still in ``metrics.jsonl``.

    Args:
        loggers: loggers by name; the names appear in messages.
        say: prints a line.
    """

    def __init__(self, loggers: Mapping[str, Logger], say: Callable[[str], None]) -> None:
        self._loggers, self._say = dict(loggers), say

    @classmethod
    def of(cls, chosen: Iterable[Chosen[Any]], run: LoggedRun, say: Callable[[str], None]) -> Loggers:
        """Build the loggers of a spec.

        Raises:
            TPError: a logger cannot be built.
        """
        loggers = {each.name: built_by(each.config, Logger, run) for each in chosen}  # type: ignore[type-abstract]
        return cls(loggers, say)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Log the numbers of a step; values that are not numbers are left out."""
        numbers = {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step"
        }
        self._each(lambda logger: logger.scalars(step, numbers))

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        self._each(lambda logger: logger.picture(step, name, pixels))

    def text(self, step: int, name: str, text: str) -> None:
        self._each(lambda logger: logger.text(step, name, text))

    def close(self) -> None:
        self._each(lambda logger: logger.close())

    def _each(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                act(logger)
            except BaseException as error:
                if interrupts(error):
                    raise
                del self._loggers[name]
                self._say(f"the logger '{name}' has failed and is left out from here on: {describe_error(error)}")
