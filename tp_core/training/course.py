"""Steps, samples per step and schedule position of a run."""

from __future__ import annotations

import math

from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.options.schedule import ScheduleConfig
from tp_core.packages.plugin_errors import built_by
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.schedules.base import Schedule


class Course:
    """Steps, samples, epochs and learning-rate factor of a run whose batch size may change.

    If the run length is given in epochs, the schedule advances by samples seen. The learning rate then continues
    smoothly when the batch size changes, and the schedule ends with the last epoch. If the length is given in steps,
    the schedule advances by steps.

    Args:
        instances: number of instances per epoch.
        sizes: batch sizes since the first step.
        warmup: steps of the schedule's warm-up; None: as configured in the schedule.

    Attributes:
        total_steps: number of steps.
    """

    def __init__(
        self,
        options: TrainOptions,
        schedule: ScheduleConfig,
        instances: int,
        sizes: BatchSizes,
        warmup: int | None = None,
    ) -> None:
        self.instances, self.sizes = instances, sizes
        self._by_samples = options.steps is None
        if options.steps is not None:
            self.total_steps, planned = options.steps, max(1, options.steps)
        else:
            samples = (1 if options.epochs is None else options.epochs) * instances
            self.total_steps, planned = sizes.steps_for(samples), max(1, math.ceil(samples / sizes.first))
        self.schedule = built_by(schedule, Schedule, planned, warmup)  # type: ignore[type-abstract]

    def samples(self, step: int) -> int:
        """Samples seen after ``step`` steps."""
        return self.sizes.before(step)

    def epoch(self, step: int) -> float:
        """Passes over the data after ``step`` steps."""
        return self.samples(step) / self.instances if self.instances else 0.0

    def lr_factor(self, step: int) -> float:
        """The schedule's factor for update number ``step``, counted from 0."""
        # Measured in steps of the initial batch size, to which the schedule's step numbers refer.
        return self.schedule.factor(self.samples(step) / self.sizes.first if self._by_samples else step)
