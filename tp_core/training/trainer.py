"""The training loop. The trainer controls the steps, the strategy the devices, and the model the loss."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from tp_core.artifacts.contents import Contents
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.data.sampling.loader import BatchPlan, training_batches
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.errors import TPError
from tp_core.evaluation.totals import Totals, computed
from tp_core.interfaces import Batch
from tp_core.model import Model
from tp_core.packages.plugin_errors import expect
from tp_core.processes.agreement import Agreement, Request
from tp_core.processes.pause import Pause
from tp_core.processes.signals import Children, InterruptedWaitError, StopRequest
from tp_core.spec.metrics import early_stopping_mode, shown_metrics, target_metrics
from tp_core.spec.schema import Spec
from tp_core.training.checkpoints import Checkpoints
from tp_core.training.course import Course
from tp_core.training.early_stopping import EarlyStopper
from tp_core.training.evaluation import Evaluator
from tp_core.training.hooked_forward import HookedForward
from tp_core.training.loggers.base import LoggedRun
from tp_core.training.loggers.several import Loggers
from tp_core.training.metrics import MetricsFile
from tp_core.training.nonfinite import NonfiniteWatch
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.progress import Progress
from tp_core.training.same_weights import need_same_weights
from tp_core.training.speed import Speed
from tp_core.training.state import load_checkpoint, prepare_checkpoint
from tp_core.training.step import training_step
from tp_core.training.strategies.base import Strategy


class Trainer:
    """Trains one model; made by :func:`tp_core.train`.

    Attributes:
        step: number of finished optimizer steps.
        model: the unwrapped model.
        stopped: signal on which the run was saved before its end, or None.
        checkpoints: the run's checkpoints.
        owes_evaluation: True if the evaluation after the step is still due. A run without steps begins with it.
    """

    def __init__(
        self,
        spec: Spec,
        run: Path,
        model: Model,
        strategy: Strategy,
        sets: Sequence[DataSet],
        evaluator: Evaluator | None,
        hooks: Any,
        contents: Contents,
    ) -> None:
        options = spec.train.options
        self.spec, self.run, self.model, self.strategy, self.hooks = spec, run, model, strategy, hooks
        self.options, self.evaluator, self.sets, self.contents = options, evaluator, sets, contents
        self.instances = sum(len(data.rows) for data in sets)
        sharing = strategy.data_parallel
        if options.batch_size % (sharing.world_size * options.accumulate):
            raise TPError(
                f"train.batch_size {options.batch_size} is not divisible by {sharing.world_size} processes × "
                f"accumulate {options.accumulate}"
            )
        self.lay_out(BatchSizes.constant(options.batch_size))
        model.checkpoint_activations(options.activation_checkpointing)
        if options.compile:
            model.compile()
        if options.weight_precision == "bf16":
            strategy.lower_weights(model)
        self._repeats = hooks.implements("tp_further_passes")
        module = strategy.wrap(HookedForward(model, hooks) if hooks.implements("tp_forward") else model)
        self.module = expect(module, nn.Module, strategy, "wrap", "a torch module")
        groups = parameter_groups(model, spec.train.optimizer.config)
        hooks.hook.tp_parameter_groups(model=model, groups=groups)
        optimizer = strategy.make_optimizer(spec.train.optimizer.config, checked_groups(model, groups))
        self.optimizer = expect(optimizer, Optimizer, strategy, "make_optimizer", "a torch optimizer")
        self.window = Totals(strategy.device)
        self.norm: Tensor | None = None
        self.nonfinite = NonfiniteWatch(strategy, list(model.named_targets()))
        self.speed = Speed(spec, strategy.device, sharing.world_size, strategy.world_size)
        self.facts = target_metrics(spec)
        self.early_stopper = EarlyStopper(
            options.early_stopping, early_stopping_mode(spec) if options.early_stopping else "min"
        )
        self.metrics = MetricsFile(run / "metrics.jsonl")
        self.progress = Progress(self.total_steps, shown_metrics(spec), enabled=strategy.rank == 0)
        self.loggers = Loggers({}, self.progress.say)
        self.checkpoints = Checkpoints(run / "checkpoints", options, strategy.processes, self.progress.say)
        self.step = 0
        self.lr = 0.0
        self.stopped: str | None = None
        self.owes_evaluation = evaluator is not None and not self.total_steps
        self._agreement, self._children = Agreement(strategy.processes), Children()
        self._request = StopRequest(last_resort=strategy.world_size > 1)
        self._not_finite = ""

    def lay_out(self, sizes: BatchSizes, warmup: int | None = None) -> None:
        """Set the samples and the learning rate of each step of the run.

        Args:
            sizes: batch sizes since the first step.
            warmup: steps of the schedule's warm-up; None: as configured in the schedule.
        """
        options, strategy, schedule = self.options, self.strategy, self.spec.train.schedule
        self.course = Course(options, schedule.config, self.instances, sizes, warmup)
        self.turns = SetSchedule([data.share for data in self.sets], self.total_steps, options.seed)
        sharing = strategy.data_parallel
        self.plan = BatchPlan(
            options.batch_size, options.accumulate, sharing.rank, sharing.world_size, options.seed, sizes
        )

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.course.total_steps

    # -- the loop ----------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train from the current step to the last one, or until a signal or early stopping."""
        try:
            self.strategy.processes.limit_waits(self.options.timeout_seconds())
            self._agreement.attempt(self._begin)
            self._agree()
            need_same_weights(self.strategy, self.model, self.step)
            # Always close the batches: this ends the processes that prepare them.
            with self._request, contextlib.closing(self.batches()) as steps, contextlib.suppress(InterruptedWaitError):
                self.speed.start()
                self.checkpoints.begin()
                self._complete_step()
                while not self.complete:
                    batches = self._next(steps)
                    self._follow_requests()
                    assert batches is not None
                    with self._children.unheard():
                        self.train_step(batches)
                    self.after_step()
            self.checkpoints.complete()
            self.strategy.processes.limit_waits(None)
        except Exception:
            self.checkpoints.end()
            raise
        finally:
            self.progress.stop()
            self.loggers.close()

    def _begin(self) -> None:
        if self.strategy.rank == 0:
            self.metrics.cut(self.step, evaluated=not self.owes_evaluation, say=self.progress.say)
            run = LoggedRun(self.run, self.spec.name, self.spec.dump(), self.step)
            self.loggers = Loggers.of(self.spec.train.loggers, run, self.progress.say)
        self.progress.total = self.total_steps
        self.progress.start(self.step)
        self.hooks.hook.tp_train_start(trainer=self)

    def _next(self, steps: Generator[list[Batch], None, None]) -> list[Batch] | None:
        """The batches of the next step; None if the wait was interrupted, which :meth:`_follow_requests` handles."""
        with contextlib.suppress(InterruptedWaitError), self._request.ends_waits():
            return self._agreement.attempt(next, steps)
        return None

    def _follow_requests(self) -> None:
        """Carry out the requests of all processes, at a point where the state is consistent.

        Raises:
            InterruptedWaitError: the run is saved and stops.
        """
        request = self._agree(self._own_request())
        if request == Request.STOP:
            self.stopped = f"on {self._request.name or 'a signal to another process'}"
            self.save()
            raise InterruptedWaitError
        if request == Request.SAVE:
            self._request.save = False
            self.save()

    def _own_request(self) -> Request:
        """The request of this process before the next step; the first process checks the time for all."""
        if self._request.name is not None:
            return Request.STOP
        late = self.strategy.rank == 0 and self.checkpoints.due_now()
        return Request.SAVE if self._request.save or late else Request.GO_ON

    def _has_request(self) -> bool:
        """True if a signal asks for something that takes precedence over the evaluation."""
        if self.checkpoints.has(self.step):
            self._request.save = False  # the current step is already saved
        return self._request.save or self._request.name is not None

    def _agree(self, request: Request = Request.GO_ON) -> Request:
        """Agree with the other processes at a consistent point. If one has failed, save and raise its error."""
        self._agreement.attempt(self._children.tell)
        self._agreement.attempt(self.checkpoints.check)
        agreed = self._agreement.agreed(request)
        if agreed == Request.FAIL:
            if self.step:
                self._save_if_possible()
            raise self._agreement.error()
        return agreed

    @property
    def complete(self) -> bool:
        """True if the last step is done, or if early stopping has ended the run."""
        return self.step >= self.total_steps or self.early_stopper.exhausted()

    def batches(self) -> Generator[list[Batch], None, None]:
        """This process's micro-batches of each step, from the current step to the last."""
        return training_batches(
            self.sets,
            self.plan,
            self.turns,
            range(self.step, self.total_steps),
            self.options.workers,
            self.options.prefetch,
            pin=self.strategy.device.type == "cuda",
            timeout=self.options.timeout_seconds(),
        )

    def train_step(self, batches: list[Batch]) -> None:
        """Train on the batches of the next step (:func:`tp_core.training.step.training_step`), and count it."""
        self.speed.count(batches)
        self.lr = self.spec.train.optimizer.config.lr * self.course.lr_factor(self.step)
        passes = self._further_passes if self._repeats else None
        result = training_step(self.model, self.module, self.strategy, batches, self.lr, passes)
        self.norm = result.norm
        self.step += 1
        self.window.merge(result.totals, skip=result.skipped > 0)
        self.nonfinite.record(self.step, result)
        if self.strategy.device.type == "cpu":  # reading is cheap on the CPU
            self._report_nonfinite()

    def _further_passes(self, batches: Sequence[Batch]) -> Iterator[AbstractContextManager[Any]]:
        for contexts in self.hooks.hook.tp_further_passes(trainer=self, batches=batches):
            several = contexts if isinstance(contexts, Iterable) else [contexts]
            for context in several:
                if not isinstance(context, AbstractContextManager):
                    raise TPError(
                        f"train.hooks: a hook's tp_further_passes gave {context!r:.80}; expected context managers"
                    )
                yield context

    def _report_nonfinite(self) -> None:
        if not (message := self.nonfinite.report()):
            return
        if self.options.on_nan == "stop":
            self._not_finite = message
        else:
            self.progress.say(message)

    # -- between steps -----------------------------------------------------------------------------------------

    def after_step(self) -> None:
        self.progress.step(self.step)
        options, last = self.options, self.step == self.total_steps
        due = last or (options.eval_every and self.step % options.eval_every == 0)
        self.owes_evaluation = self.evaluator is not None and bool(due)
        if self.step % options.log_every == 0 or last:
            with self._children.unheard():
                self._log()
        self._agreement.attempt(self.hooks.hook.tp_step_end, trainer=self, step=self.step)
        self._complete_step()
        if self._not_finite:
            self._stop_for_what_is_not_finite()

    def _complete_step(self) -> None:
        """Do the remaining work after a step, also if the run was saved before it was done."""
        if self.owes_evaluation:
            self._evaluate()
        if self.complete or self.checkpoints.due_after(self.step):
            self._agree()
            self.save()

    def _stop_for_what_is_not_finite(self) -> None:
        """Save the state after the step, whose update was skipped, and explain how to continue."""
        try:
            self.save(wait=True)
        except TPError as error:
            raise TPError(f"{self._not_finite}. The run could not be saved: {error}") from error
        raise TPError(
            f"{self._not_finite}. The state after step {self.step} is saved in {self.checkpoints.newest}, and --resume "
            "goes on after it. If nothing changes, the next steps may fail in the same way. These may help: a lower "
            "learning rate (--allow-change lr), train.clip_norm (--allow-change clip_norm), or train.on_nan: skip, "
            "which skips such steps"
        )

    def _log(self) -> None:
        self._report_nonfinite()
        means = computed(self.window.read(self.strategy.data_parallel), self.facts)
        self.window.reset()
        rates = self.speed.read()
        assert self.norm is not None
        values: dict[str, Any] = {
            "loss": means.pop("loss"),
            **dict(sorted(means.items())),
            "lr": self.lr,
            "grad_norm": float(self.norm),
            **rates,
        }
        if self.strategy.rank == 0:
            self._agreement.attempt(self._write, values)
            self.progress.log(self.step, values, self.speed.left(self.total_steps - self.step))

    def _write(self, measured: dict[str, Any]) -> None:
        place = {"step": self.step, "epoch": self.course.epoch(self.step), "samples": self.course.samples(self.step)}
        values = {**place, **measured}
        self.metrics.write(values)
        self.loggers.scalars(self.step, values)

    def _evaluate(self) -> None:
        """Evaluate the model. If a signal interrupts it, the run is saved and the evaluation starts again.

        Raises:
            InterruptedWaitError: the run is saved and stops.
        """
        assert self.evaluator is not None
        self._agree()
        self.strategy.sync_buffers(self.model)
        found: dict[str, float] | None = None
        while found is None:
            pause = Pause(self.strategy.processes, self._has_request, self._request.ends_waits)
            try:
                with self.speed.paused(), self._children.unheard():
                    found = self._agreement.attempt(self.evaluator, self.model, self.strategy, pause)
            except InterruptedWaitError:
                self._follow_requests()
            else:
                self._agree()
        if any(target.tuned_by for target in self.model.named_targets().values()):
            self.checkpoints.outdated()  # one of this step from before the evaluation lacks the tuned values
        improved = self._agreement.attempt(self._record_evaluation, found)
        self._agree()
        if improved:
            self.save()

    def _record_evaluation(self, found: dict[str, float]) -> bool:
        """Record an evaluation; True if it is the best so far."""
        if self.strategy.rank == 0:  # write first: an evaluation that cannot be written is repeated on resume
            self._write({f"eval/{name}": value for name, value in found.items()})
        improved = self.early_stopper.improved(found, self.step)
        self.owes_evaluation = False
        if self.strategy.rank == 0:
            shown = "  ".join(f"{name} {value:.4f}" for name, value in found.items())
            self.progress.say(f"step {self.step}  evaluation  {shown}")
            if note := self.early_stopper.note(found):
                self.progress.say(f"step {self.step}  {note}")
        self.hooks.hook.tp_evaluation_end(trainer=self, step=self.step, metrics=found)
        return improved

    # -- checkpoints -------------------------------------------------------------------------------------------

    def save(self, wait: bool = False) -> None:
        """Write a checkpoint of this step. With ``train.save_in_background``, the training does not wait for it.

        Args:
            wait: True to wait in any case, such as before the run ends.

        Raises:
            CheckpointError: it could not be written, or an earlier one that was written in the background.
        """
        if self.checkpoints.has(self.step):
            self.checkpoints.complete()
            return
        background = self.options.save_in_background and not wait and self.stopped is None and not self.complete
        with self.speed.paused(), self._children.unheard():
            self.checkpoints.complete()
            self.checkpoints.write(prepare_checkpoint(self), background)

    def _save_if_possible(self) -> None:
        """Save a consistent state when the run ends with an error; that error is the one to report."""
        with contextlib.suppress(TPError):  # after the failure of an earlier checkpoint, this one is tried
            self.checkpoints.complete()
        try:
            self.save(wait=True)
        except Exception as error:
            self.progress.say(f"the state after step {self.step} could not be saved: {error}")

    def resume(self, folder: Path, state: dict[str, Any]) -> None:
        """Load a checkpoint's whole state: weights, optimizer, position and random states.

        Args:
            state: state returned by :func:`tp_core.training.state.read_state`.
        """
        load_checkpoint(self, folder, state)
        self.checkpoints.resumed(self.step, folder)

    def seconds(self) -> float:
        return time.perf_counter() - self.speed.began
