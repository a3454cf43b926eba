"""The course of a run: how many steps it has, of how many samples, and which part of the schedule each has."""

from __future__ import annotations

import math

from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.options.schedule import ScheduleConfig
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.schedules.base import Schedule


class Course:
    """Steps, samples, epochs and the learning rate's factor of a run, whose batch size may have changed.

    A run that is as long as a number of epochs goes through its schedule by the samples seen. So the learning rate goes
    on where it was when the batch size changes, and ends with the last epoch. A run of a number of steps goes through
    it by steps.

    Args:
        instances: number of instances that make an epoch.
        sizes: batch sizes since the first step.
        warmup: steps of the schedule's warm-up; None for what the schedule says.

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
            self.total_steps = planned = options.steps
        else:
            samples = (options.epochs or 1) * instances
            self.total_steps, planned = sizes.steps_for(samples), math.ceil(samples / sizes.first)
        self.schedule: Schedule = schedule.build(planned, warmup)

    def samples(self, step: int) -> int:
        """Samples seen when ``step`` steps are done."""
        return self.sizes.before(step)

    def epoch(self, step: int) -> float:
        """Passes over the data when ``step`` steps are done."""
        return self.samples(step) / self.instances

    def lr_factor(self, step: int) -> float:
        """The schedule's factor of update number ``step``, from 0."""
        # In steps of the size that the run began with, which the schedule's own numbers of steps mean.
        return self.schedule.factor(self.samples(step) / self.sizes.first if self._by_samples else step)
