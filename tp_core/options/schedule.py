"""Base of options of learning-rate schedules. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext

if TYPE_CHECKING:
    from tp_core.training.schedules.base import Schedule


class ScheduleConfig(ModuleConfig):
    """Base of schedule configs. An implementation is made with the options, the warm-up steps and the total steps."""

    kind: ClassVar[str] = "schedule"

    warmup: float = Field(
        0.0,
        ge=0,
        description="linear warm-up from learning rate 0: a fraction of the steps if below 1, else a number of steps",
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        """Check that stages given as fractions of the steps fit; only the run can check stages given as step counts."""
        stages = {"warmup": self.warmup if self.warmup < 1 else 0.0, **self.stages()}
        if sum(stages.values()) > 1 + 1e-6:
            option = list(stages)[-1]
            shown = f"{' + '.join(stages)} is {' + '.join(f'{stage:g}' for stage in stages.values())} of the steps"
            yield Problem(option, f"{shown}; at most 1 fits")

    def stages(self) -> dict[str, float]:
        """The stages after the warm-up that are fractions of the steps, by option."""
        return {}

    def build(self, total_steps: int, warmup: int | None = None) -> "Schedule":
        """The schedule of a run.

        Args:
            total_steps: number of updates of the run, at least 1.
            warmup: number of updates of the warm-up; None: as the options say.

        Raises:
            TPError: the stages are longer than the run.
        """
        from tp_core.training.schedules.base import warmup_steps

        if total_steps < 1:
            raise TPError(f"train.schedule: the run has {total_steps} steps; it needs at least 1")
        for problem in self.check(BuildContext()):
            raise TPError(f"train.schedule: {problem.message}")
        warmup = warmup_steps(self.warmup, total_steps) if warmup is None else warmup
        made: Schedule = self.implemented()(self, warmup, total_steps)
        return made
