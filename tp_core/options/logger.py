"""Base of options of loggers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    from tp_core.training.loggers.base import LoggedRun, Logger


class LoggerConfig(ModuleConfig):
    """Base of logger configs. An implementation is made with the options and the run.

    A logger sends the run's measurements to another place. ``metrics.jsonl`` is written without any logger.
    """

    kind: ClassVar[str] = "logger"

    def build(self, run: "LoggedRun") -> "Logger":
        """The logger of a run that starts or resumes.

        Raises:
            TPError: its library is missing, or its destination cannot be reached.
        """
        made: Logger = self.implemented()(self, run)
        return made
