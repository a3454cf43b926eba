"""Losses and metrics of a model on held-out data."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tp_core.data.sampling.loader import evaluation_batches
from tp_core.data.sampling.mixture import DataSet
from tp_core.evaluation.batches import evaluate_batches
from tp_core.evaluation.texts import writer_for
from tp_core.model import Model
from tp_core.processes.pause import NO_PAUSE, Pause
from tp_core.spec.metrics import MEAN, has_mean, in_set, main_metric, set_metrics
from tp_core.training.strategies.base import Strategy
from tp_core.training.tuning import Tuning


class Evaluator:
    """Evaluates a model on prepared rows, always in the same way.

    Several sets are evaluated one after the other. Their figures include the set's name (``loss/<set>/<target>``). The
    total loss is the mean of the sets' losses, weighted by their shares. If each set has a main metric
    (:func:`tp_core.spec.metrics.main_metric`), ``mean`` is the mean of these.

    Targets that are tuned by evaluations (:meth:`tp_core.interfaces.Target.tuned`) have their new values afterwards,
    and the figures are those of the new values.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        batch_size: int,
        seed: int,
        limit: int | None = None,
        workers: int = 0,
        timeout: float | None = None,
    ) -> None:
        self.sets, self.batch_size = sets, batch_size
        self.seed, self.limit, self.workers, self.timeout = seed, limit, workers, timeout

    def __call__(
        self,
        model: Model,
        strategy: Strategy,
        pause: Pause = NO_PAUSE,
    ) -> dict[str, float]:
        """The figures of all sets.

        Raises:
            InterruptedWaitError: there was a pause (:func:`evaluate_batches`) on any process.
        """
        tuning = Tuning(model)
        if len(self.sets) == 1 and not self.sets[0].name:
            found = self._one(self.sets[0], model, strategy, pause, tuning)
            return found | tuning.apply(strategy.data_parallel)
        found = {"loss": 0.0}
        for data in self.sets:
            own = self._one(data, model, strategy, pause, tuning)
            found["loss"] += own.pop("loss") * data.share / sum(each.share for each in self.sets)
            found |= {in_set(name, data.name): value for name, value in own.items()}
        found |= tuning.apply(strategy.data_parallel)
        if has_mean(model.spec, [data.name for data in self.sets]):
            found[MEAN] = sum(found[self._main(model, data.name)] for data in self.sets) / len(self.sets)
        return found

    @staticmethod
    def _main(model: Model, name: str) -> str:
        """The main metric of a data set, with the set's name."""
        metric = main_metric(set_metrics(model.spec, model.spec.of_set(name)))
        assert metric is not None
        return in_set(metric, name)

    def _one(
        self,
        data: DataSet,
        model: Model,
        strategy: Strategy,
        pause: Pause,
        tuning: Tuning,
    ) -> dict[str, float]:
        sharing = strategy.data_parallel
        batches = evaluation_batches(
            data.rows,
            data.feed,
            self.batch_size,
            self.seed,
            sharing.rank,
            sharing.world_size,
            self.limit,
            self.workers,
            pin=strategy.device.type == "cuda",
            timeout=self.timeout,
        )
        writer = writer_for(model, model.spec.of_set(data.name), data.processor, strategy.replicated)
        with contextlib.closing(batches):
            facts = tuning.watched(set_metrics(model.spec, model.spec.of_set(data.name)), data.name)
            return evaluate_batches(
                model,
                batches,
                sharing,
                strategy.device,
                strategy.autocast,
                facts,
                data.processor,
                pause,
                in_rounds=None if strategy.replicated else strategy.processes,
                writer=writer,
            )
