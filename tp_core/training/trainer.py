"""The training loop. The trainer owns time; the strategy owns devices; the model owns the loss."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_core.data.loader import BatchPlan, training_batches
from tp_core.data.mixture import DataSet, Turns
from tp_core.errors import TPError
from tp_core.interfaces import Batch
from tp_core.model import Model
from tp_core.spec.schema import Spec
from tp_core.training.checkpoint import CheckpointStore
from tp_core.training.early_stopping import Best
from tp_core.training.evaluation import Evaluator
from tp_core.training.metrics import MetricsFile, Sums, TensorBoard
from tp_core.training.optimizers import build_optimizer, parameter_groups
from tp_core.training.progress import Progress
from tp_core.training.schedules import build_schedule
from tp_core.training.signals import StopRequest
from tp_core.training.speed import Speed
from tp_core.training.state import load_checkpoint, write_checkpoint
from tp_core.training.strategies import Strategy
from tp_core.training.update import Update


class Trainer:
    """Trains one model; made by :func:`tp_core.train`.

    Attributes:
        step: optimizer steps done.
        total_steps: steps of the whole run.
        model: the bare model.
        stopped: the signal on which the run was saved before its end, or None.
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
    ) -> None:
        options = spec.train.options
        self.spec, self.run, self.model, self.strategy, self.hooks = spec, run, model, strategy, hooks
        self.options, self.evaluator, self.sets = options, evaluator, sets
        self.instances = sum(len(data.rows) for data in sets)
        shares = strategy.world_size * options.accumulate
        if options.batch_size % shares:
            raise TPError(
                f"train.batch_size {options.batch_size} is not divisible by {strategy.world_size} processes × "
                f"accumulate {options.accumulate}"
            )
        self.plan = BatchPlan(options.batch_size, options.accumulate, strategy.rank, strategy.world_size, options.seed)
        self.total_steps = options.steps or math.ceil((options.epochs or 1) * self.instances / options.batch_size)
        self.turns = Turns([data.share for data in sets], self.total_steps, options.seed)
        model.checkpoint_activations(options.activation_checkpointing)
        groups = parameter_groups(model, spec.train.optimizer.config)
        hooks.hook.tp_parameter_groups(model=model, groups=groups)
        self.optimizer = build_optimizer(spec.train.optimizer.name, spec.train.optimizer.config, groups)
        self.schedule = build_schedule(spec.train.schedule.name, spec.train.schedule.config, self.total_steps)
        self.update = Update(self.optimizer, strategy, options.clip_norm, options.precision == "fp16")
        if options.compile:
            model.compile()
        self.module = strategy.wrap(model)
        self.window = Sums(strategy.device)
        self.norm: Tensor | None = None
        self.trouble = torch.zeros(2, device=strategy.device)  # first bad step, and which target: 0 is none
        self.speed = Speed(spec, strategy.device, strategy.world_size)
        self.best = Best(options.early_stopping)
        self.store = CheckpointStore(run / "checkpoints", options.keep_checkpoints)
        self.metrics = MetricsFile(run / "metrics.jsonl")
        self.progress = Progress(self.total_steps, enabled=strategy.rank == 0)
        self.board: TensorBoard | None = None
        self.step = 0
        self.lr = 0.0
        self.stopped: str | None = None
        self._saved = -1

    # -- the loop ----------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train from the current step to the last, or until a signal or early stopping."""
        first = self.strategy.rank == 0
        if first:
            self.metrics.cut(self.step)
            if self.options.tensorboard:
                self.board = TensorBoard(self.run / "tensorboard", purge_step=self.step + 1 if self.step else None)
        self.progress.start(self.step)
        self.hooks.hook.tp_train_start(trainer=self)
        try:
            # Closed whatever happens: the processes that prepare batches end with it.
            with StopRequest() as request, contextlib.closing(self._batches()) as steps:
                self.speed.start()
                for batches in () if self.complete else steps:
                    self._train_step(batches)
                    self._after_step()
                    if self.complete:
                        break
                    if self.strategy.agree(request.name is not None):
                        self.stopped = f"on {request.name or 'a signal to another process'}"
                        self.save()
                        break
        finally:
            self.progress.stop()
            if self.board is not None:
                self.board.close()

    @property
    def complete(self) -> bool:
        """Whether the last step is done, or early stopping has ended the run."""
        return self.step >= self.total_steps or self.best.exhausted()

    def _batches(self) -> Generator[list[Batch], None, None]:
        return training_batches(
            self.sets,
            self.plan,
            self.turns,
            range(self.step, self.total_steps),
            self.options.workers,
            self.options.prefetch,
            pin=self.strategy.device.type == "cuda",
        )

    def _train_step(self, batches: list[Batch]) -> None:
        self.module.train()
        self.speed.count(batches)
        batches = [batch.to(self.strategy.device) for batch in batches]
        denominators = self._denominators(batches)
        sums, losses = Sums(self.strategy.device), dict[str, Tensor]()
        total: Tensor | None = None
        for number, batch in enumerate(batches):
            with self.autocast():
                output = self.strategy.forward_backward(
                    self.module, batch, denominators, number == len(batches) - 1, self.update.scale
                )
            sums.add_output(output)
            total = output.loss.detach() if total is None else total + output.loss.detach()
            for name, loss in output.losses.items():
                losses[name] = loss if name not in losses else losses[name] + loss
        assert total is not None
        self.lr = self.spec.train.optimizer.config.lr * self.schedule.factor(self.step)
        self.norm, bad = self.update(self.lr * self.spec.train.optimizer.config.lr_factor(self.step))
        self.step += 1
        # Each process holds its part of the loss, and the parts add up; the step is counted on one process only.
        steps = 1.0 if self.strategy.rank == 0 else 0.0
        sums.add("loss", total, steps)
        for name, loss in losses.items():
            sums.add(f"loss/{name}", loss, steps)
        self.window.merge(sums, skip=bad > 0)
        self._watch(losses, total, bad)

    def _denominators(self, batches: list[Batch]) -> dict[str, Tensor] | None:
        """Each target's count over all micro-batches and processes; None when this batch is all there is."""
        if len(batches) == 1 and self.strategy.world_size == 1:
            return None
        counts = self.model.denominators(batches[0])
        for batch in batches[1:]:
            counts = counts + self.model.denominators(batch)
        return dict(zip(self.model.active(batches[0]), self.strategy.all_reduce(counts)))

    def autocast(self) -> torch.autocast:
        """Mixed precision as the spec says."""
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.options.precision)
        return torch.autocast(self.strategy.device.type, dtype=dtype, enabled=dtype is not None)

    # -- what is not finite ------------------------------------------------------------------------------------

    def _watch(self, losses: dict[str, Tensor], total: Tensor, bad: Tensor) -> None:
        """Remember the first step whose update was not applied, and the target to blame, without waiting."""
        targets = list(self.model.targets)
        finite = torch.stack([torch.isfinite(loss) for loss in losses.values()])
        numbers = torch.tensor([targets.index(name) + 1 for name in losses]).to(finite.device, non_blocking=True)
        blame = torch.where(finite, len(targets) + 1, numbers).amin().float()
        if self.update.scale is not None:
            bad = bad * (~torch.isfinite(total)).float()  # half-precision gradients may overflow; the scale adapts
        seen = self.trouble[0] > 0
        now = torch.stack([torch.full_like(blame, self.step), blame]) * bad
        self.trouble = torch.where(seen, self.trouble, now)
        if self.strategy.device.type == "cpu":  # reading costs nothing here
            self._report_trouble()

    def _report_trouble(self) -> None:
        step, blame = self.trouble.tolist()
        if not self.strategy.agree(step > 0):
            return
        # Any of the processes may hold the target to blame; a gradient comes after all targets.
        step, blame = min(found for found in self.strategy.gather((step, blame)) if found[0] > 0)
        names = [*(f"the loss of target '{name}'" for name in self.model.targets), "a gradient"]
        message = f"step {int(step)}: {names[int(blame) - 1]} is not finite; the update was not applied"
        self.trouble.zero_()
        if self.options.on_nan == "stop":
            self.norm = None
            raise TPError(
                f"{message}. The weights are those of the last good step. A lower train.optimizer lr or "
                "train.clip_norm, or train.on_nan: skip, may help"
            )
        self.progress.say(message)

    # -- between steps -----------------------------------------------------------------------------------------

    def _after_step(self) -> None:
        self.progress.step(self.step)
        options, last = self.options, self.step == self.total_steps
        if self.step % options.log_every == 0 or last:
            self._log()
        self.hooks.hook.tp_step_end(trainer=self, step=self.step)
        if self.evaluator is not None and (last or (options.eval_every and self.step % options.eval_every == 0)):
            self._evaluate()
        every = options.checkpoint_every
        if self.complete or (every and self.step % every == 0):
            self.save()

    def _log(self) -> None:
        self._report_trouble()
        means = self.window.read(self.strategy.all_reduce)
        self.window.reset()
        rates = self.speed.read()
        assert self.norm is not None
        samples = self.step * self.options.batch_size
        values: dict[str, Any] = {
            "step": self.step,
            "epoch": samples / self.instances,
            "samples": samples,
            "loss": means.pop("loss"),
            **dict(sorted(means.items())),
            "lr": self.lr,
            "grad_norm": float(self.norm),
            **rates,
        }
        if self.strategy.rank == 0:
            self._write(values)
            self.progress.log(self.step, values, self.speed.left(self.total_steps - self.step))

    def _write(self, values: dict[str, Any]) -> None:
        self.metrics.write(values)
        if self.board is not None:
            self.board.write(self.step, values)

    def _evaluate(self) -> None:
        assert self.evaluator is not None
        with self.speed.paused():
            found = self.evaluator(self.model, self.strategy, self.autocast)
        if self.strategy.rank == 0:
            samples = self.step * self.options.batch_size
            values = {f"eval/{name}": value for name, value in found.items()}
            self._write({"step": self.step, "epoch": samples / self.instances, "samples": samples, **values})
            shown = "  ".join(f"{name} {value:.4f}" for name, value in found.items())
            self.progress.say(f"step {self.step}  evaluation  {shown}")
        self.hooks.hook.tp_evaluation_end(trainer=self, step=self.step, metrics=found)
        if self.best.improved(found, self.step):
            self.save()

    # -- checkpoints -------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint of this step."""
        if self._saved == self.step:
            return
        with self.speed.paused():
            write_checkpoint(self)
        self._saved = self.step

    def resume(self, folder: Path) -> None:
        """Take over a checkpoint's state: weights, optimizer, position, random states, everything."""
        load_checkpoint(self, folder)
        self._saved = self.step

    def seconds(self) -> float:
        return time.perf_counter() - self.speed.began
