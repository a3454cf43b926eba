"""``train`` runs a spec and writes the run's folder."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tp_core.errors import TPError
from tp_core.hookspecs import hook_manager, run_checks
from tp_core.local.trust import trusting
from tp_core.packages.plugin_errors import built_by
from tp_core.processes.leaving import SAVE, left_on_signals
from tp_core.processes.torch_group import release_ended
from tp_core.random_state import random_state_kept
from tp_core.spec.checks.run import check_run
from tp_core.spec.checks.training import render_note, training_notes
from tp_core.spec.schema import Spec, need_spec
from tp_core.terminal import emphasised, printable
from tp_core.training.failures import keep_traceback, remains, user_error
from tp_core.training.finish import finish
from tp_core.training.folder import RunFolder
from tp_core.training.metrics import last_figures
from tp_core.training.prepare import prepare
from tp_core.training.resuming.start import find_start, with_changes
from tp_core.training.strategies.base import Strategy
from tp_core.training.trainer import Trainer

#: Held by the thread that trains.
_TRAINING = threading.RLock()


@dataclass(frozen=True)
class TrainResult:
    """The result of a run.

    Attributes:
        run: the run's folder.
        model: folder of the exported model; None if a signal stopped the run early.
        step: number of finished steps.
        stopped: reason why the run ended before its last step, or None.
    """

    run: Path
    model: Path | None
    step: int
    stopped: str | None

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each figure in the run's ``metrics.jsonl``: ``loss`` of training, ``eval/loss``, ...

        Non-finite values are NaN. With ``early_stopping.restore_best``, the values are still those of the last
        evaluation, not of the best one.
        """
        return last_figures(self.run / "metrics.jsonl")


def train(
    spec: Spec,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    allow_change: str | Sequence[str] = (),
) -> TrainResult:
    """Train a spec's model.

    Afterwards, the random states of Python, NumPy and torch and the signal handlers are restored.

    Args:
        run: folder of the run; default: ``runs/<spec name>``. It gets the resolved spec, metrics, checkpoints and the
            exported model.
        resume: True to continue from the newest undamaged checkpoint in the folder, or from the first step without one.
        allow_change: options that may differ from the checkpoint's, such as ``["lr", "batch_size"]``. The result then
            differs from that of one uninterrupted run.

    Raises:
        TPError: another thread of the process is training, the folder holds another run, the data cannot be used, a
            loss is not finite, ...
    """
    need_spec(spec)
    given = [allow_change] if isinstance(allow_change, str) else allow_change
    allowed = [key.strip() for each in given for key in each.split(",") if key.strip()]
    if allow_change and not allowed:
        raise TPError("--allow-change: expected options, such as lr,batch_size, got an empty text")
    if allowed and not resume:
        raise TPError("--allow-change is for a run that goes on: give --resume with it")
    with _alone(), random_state_kept(), trusting(spec.trust_code), left_on_signals(unheard=[SAVE]):
        result = _train(spec, Path(run) if run is not None else Path("runs") / spec.name, resume, allowed)
        release_ended()  # what has used the processes of the run is gone with it
        return result


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """A context that only one thread may enter at a time.

    Random states belong to the process. Two trainings at the same time would use each other's random numbers, so
    neither would follow its seed.

    Raises:
        TPError: another thread is in the context.
    """
    if not _TRAINING.acquire(blocking=False):
        raise TPError("another thread of this process is training; train one after the other, or in several processes")
    try:
        yield
    finally:
        _TRAINING.release()


def _train(spec: Spec, path: Path, resume: bool, allowed: list[str]) -> TrainResult:
    strategy = built_by(spec.train.strategy.config, Strategy)
    say = _speaker(strategy.rank == 0)
    folder, trainer = RunFolder(path), None
    try:
        strategy.setup(spec.train.options)
        folder.check(resume)
        if strategy.rank == 0:
            folder.try_out()
        start = find_start(folder, strategy, resume, say)
        check_run(spec, resume, checkpoint=start.checkpoint is not None)
        start = with_changes(start, folder, spec, strategy, allowed)
        hooks = hook_manager((h.name, h.config.build()) for h in spec.train.hooks)
        run_checks(hooks, spec)
        for note in training_notes(spec):
            say(render_note(note))
        trainer, tokenizers = prepare(spec, folder, start, strategy, hooks, resume, say)
        trainer.fit()
        if trainer.stopped is not None:
            say(f"stopped {trainer.stopped} at step {trainer.step}; the run is saved and goes on with --resume")
            return TrainResult(path, None, trainer.step, trainer.stopped)
        early = finish(trainer, tokenizers, say)
        return TrainResult(path, path / "model", trainer.step, early)
    except BaseException as error:
        if trainer is not None:
            _notify_hooks(trainer, error, say)
        told = user_error(error, path, strategy.processes)
        if trainer is None or not trainer.step:
            folder.give_up()
        else:
            for line in filter(None, (keep_traceback(trainer, told), remains(trainer, told))):
                say(line)
        if told is error:
            raise
        raise told from error
    finally:
        folder.release()
        strategy.teardown()
        if trainer is None:  # nothing has used the processes
            release_ended()


def _speaker(speaks: bool) -> Callable[[str], None]:
    """The function that prints messages for the user; only the first process prints."""

    def say(message: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal must not stop the run
            print(emphasised(printable(message), sys.stderr), file=sys.stderr, flush=True)

    return say if speaks else lambda _: None


def _notify_hooks(trainer: Trainer, error: BaseException, say: Callable[[str], None]) -> None:
    """Call the hooks for a failed run. The run still ends with the original error."""
    try:
        trainer.hooks.hook.tp_run_failed(trainer=trainer, error=error)
    except Exception as another:
        say(f"a hook failed while handling the error: {type(another).__name__}: {another}")
