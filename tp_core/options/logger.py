"""Base of options of loggers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    from tp_core.training.loggers.base import LoggedRun, Logger


class LoggerConfig(ModuleConfig):
    """Base of logger configs. An implementation is made with the options and the run.

    A logger shows what a run measures somewhere else; ``metrics.jsonl`` is written without any.
    """

    kind: ClassVar[str] = "logger"

    def build(self, run: "LoggedRun") -> "Logger":
        """The logger of a run that begins, or goes on.

        Raises:
            TPError: its library is missing, or the place that it writes to cannot be reached.
        """
        made: Logger = self.implemented()(self, run)
        return made
