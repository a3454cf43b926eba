"""``train``: from a spec to a run's folder."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tp_core.data.cache import prepared_rows
from tp_core.data.loader import is_lost_worker, lost_worker
from tp_core.data.mixture import DataSet
from tp_core.errors import CheckpointError, EndedElsewhere, TPError
from tp_core.hookspecs import hook_manager, run_checks
from tp_core.inference.initial import initialise_from
from tp_core.inference.load import build_processor, read_weights, tokenizers_of
from tp_core.interfaces import Tokenizer
from tp_core.model import build_model
from tp_core.spec.checks_run import check_run
from tp_core.spec.schema import Spec
from tp_core.training.checkpoint import CheckpointStore, damage
from tp_core.training.evaluation import Evaluator
from tp_core.training.export import WEIGHTS, changed_local_files, copy_local_modules, export_model
from tp_core.training.origin import copy_origin, keep_origin
from tp_core.training.random_state import random_state_kept, seed_all
from tp_core.training.run_lock import LOCK, RunLock
from tp_core.training.strategies import Strategy, build_strategy
from tp_core.training.trainer import Trainer

#: Parts of a spec that a resumed run may not change: the saved state would mean something else.
_FIXED = (
    *("model", "data.tokenizer", "data.target_tokenizer", "data.processor", "data.sets", "data.bucket"),
    *("train.batch_size", "train.seed", "train.optimizer"),
)


#: What the system may refuse for reasons that are the user's to mend.
_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        run: the run's folder.
        model: the exported model, or None when the run stopped early on a signal.
        step: steps done.
        stopped: why the run ended before its last step, or None.
    """

    run: Path
    model: Path | None
    step: int
    stopped: str | None


def train(spec: Spec, run: str | os.PathLike[str] | None = None, resume: bool = False) -> TrainResult:
    """Train a spec's model.

    The random states of Python, NumPy and torch, and the handlers of signals, are afterwards as they were before.

    Args:
        run: folder of the run, ``runs/<spec name>`` if None. It gets the resolved spec, metrics, checkpoints and the
            exported model.
        resume: go on from the newest whole checkpoint of the folder; without one, start.

    Raises:
        TPError: the folder holds another run, the data cannot be used, a loss is not finite, ...
    """
    with random_state_kept():
        return _train(spec, Path(run) if run is not None else Path("runs") / spec.name, resume)


def _train(spec: Spec, folder: Path, resume: bool) -> TrainResult:
    strategy = build_strategy(spec.train.strategy)
    say: Callable[[str], None] = lambda _: None  # noqa: E731
    if strategy.rank == 0 and int(os.environ.get("RANK", 0)) == 0:

        def say(message: str) -> None:
            print(message, file=sys.stderr, flush=True)

    trainer: Trainer | None = None
    lock = RunLock()
    try:
        strategy.setup(spec.train.options.device)
        check_run(spec)
        _claim(folder, spec, resume)
        hooks = hook_manager((h.name, h.config.build()) for h in spec.train.hooks)
        run_checks(hooks, spec)
        trainer, tokenizers = _prepare(spec, folder, lock, strategy, hooks, resume, say)
        trainer.fit()
        return _finish(trainer, tokenizers, say)
    except BaseException as error:
        if trainer is not None:
            hooks.hook.tp_run_failed(trainer=trainer, error=error)
        told = _as_told(error, folder, strategy)
        if told is error:
            raise
        raise told from error
    finally:
        lock.release()
        strategy.teardown()


def _as_told(error: BaseException, folder: Path, strategy: Strategy) -> BaseException:
    """The error as the user is to see it: of several processes one speaks, and a full disk is no bug of ours."""
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        whole = "the checkpoints before are whole, and --resume goes on from the newest"
        error = TPError(f"{error.filename or folder}: cannot be written: {error.strerror}; {whole}")
    elif is_lost_worker(error):
        error = lost_worker(error)
    elif strategy.lost(error):
        error = TPError("the connection to another process of the run was lost")
    if isinstance(error, TPError) and not isinstance(error, EndedElsewhere) and not strategy.first_to_fail():
        return EndedElsewhere(str(error))
    return error


def _claim(folder: Path, spec: Spec, resume: bool) -> None:
    """Make sure that the folder is new, or holds this very run."""
    for above in (folder, *folder.parents):
        if above.exists() and not above.is_dir():
            raise TPError(f"{above}: this is a file; a run needs a folder (--run DIR)")
    marks = ("spec.yaml", "checkpoints", "metrics.jsonl", "model")
    used = folder.is_dir() and any((folder / name).exists() for name in marks)
    if used and not resume:
        raise TPError(
            f"{folder}: this folder already holds a run; continue it with --resume, or choose another with --run DIR"
        )
    if not used and folder.is_dir() and any(f.name != LOCK for f in folder.iterdir()) and not resume:
        raise TPError(f"{folder}: this folder is not empty and holds no run; choose another with --run DIR")
    if used and (folder / "spec.json").exists():
        try:
            before = json.loads((folder / "spec.json").read_text())
        except ValueError as error:
            raise TPError(
                f"{folder / 'spec.json'}: cannot be read, so whether this is the same run is not known: {error}; "
                "put the file back, or start another run with --run DIR"
            ) from error
        changed = _changes(before, json.loads(json.dumps(spec.dump())))
        if changed:
            raise TPError(
                f"{folder}: the spec differs from the run's, and these cannot change on --resume: {'; '.join(changed)} "
                "(start another run with --run DIR, and init_from for its weights)"
            )


def _changes(before: Any, now: Any, path: str = "") -> list[str]:
    """Fixed options that differ, each as ``path: from a to b``."""
    if before == now:
        return []
    if _modules(before) and _modules(before) == _modules(now):  # an option's place in the list says nothing to the user
        pairs = zip(_modules(before), before, now, strict=True)
        return [change for name, was, is_ in pairs for change in _changes(was[name], is_[name], f"{path}.{name}")]
    if isinstance(before, dict) and isinstance(now, dict) and (not path or before.keys() & now.keys()):
        inner = []
        for key in [*before, *(key for key in now if key not in before)]:
            below = f"{path}.{key}" if path else key
            if any(f"{below}.".startswith(f"{fixed}.") or fixed.startswith(f"{below}.") for fixed in _FIXED):
                inner += _changes(before.get(key), now.get(key), below)
        return inner
    return [f"{path} (was {_brief(before)}, is {_brief(now)})"]


def _modules(value: Any) -> list[str]:
    """The names in a list of modules with their options; empty for anything else."""
    listed = isinstance(value, list) and all(isinstance(item, dict) and len(item) == 1 for item in value)
    return [next(iter(item)) for item in value] if listed else []


def _brief(value: Any) -> str:
    """An option's value; of a module with its options, the name."""
    if isinstance(value, dict):
        return ", ".join(value)
    if isinstance(value, list):
        return f"[{', '.join(_brief(item) for item in value)}]"
    return "unset" if value is None else str(value)


def _prepare(
    spec: Spec,
    folder: Path,
    lock: RunLock,
    strategy: Strategy,
    hooks: Any,
    resume: bool,
    say: Callable[[str], None],
) -> tuple[Trainer, Mapping[str, Tokenizer]]:
    options = spec.train.options
    tokenizers = tokenizers_of(spec)  # now, as the files may be others when the training is done
    sets, evaluator = _data(spec, tokenizers.get("tokenizer"), strategy, say)
    seed_all(options.seed, strategy.rank)
    model = build_model(spec, strategy.device)
    store = CheckpointStore(folder / "checkpoints")
    newest = store.newest(say) if resume else None
    if resume and newest is None and store.all():
        raise CheckpointError(f"{store.folder}: no checkpoint is whole; start another run with --run DIR")
    if newest is None and spec.init_from:
        initialise_from(model, spec.init_from, say)
    hooks.hook.tp_model_built(model=model, spec=spec)
    trainer = Trainer(spec, folder, model, strategy, sets, evaluator, hooks)
    if newest is not None:
        trainer.resume(newest)
    if strategy.rank == 0:  # nothing is written before it is clear that the run can start
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(folder)
        _claim(folder, spec, resume)  # once more: another process may have begun a run in the meantime
        store.clean()
        _write_whole(folder / "spec.yaml", spec.to_yaml())
        _write_whole(folder / "spec.json", json.dumps(spec.dump()))
        _write_whole(folder / "provenance.json", json.dumps(spec.provenance(), indent=1) + "\n")
        if newest is not None and (changed := changed_local_files(spec, folder)):
            say(f"changed since the run was last started, and used as they are now: {', '.join(changed)}")
        copy_local_modules(spec, folder)
        if newest is None:
            keep_origin(spec, folder)
    strategy.barrier()
    if newest is not None and trainer.complete:
        say(f"{folder}: the run is complete at step {trainer.step}")
    elif newest is not None:
        say(f"resuming {folder} at step {trainer.step} of {trainer.total_steps}")
    elif resume:
        say(f"{folder} has no checkpoint yet; starting from the beginning")
    count = sum(p.numel() for p in model.parameters())
    say(
        f"training {spec.name}: {count:,} parameters, {trainer.instances:,} instances, {trainer.total_steps:,} steps "
        f"of {options.batch_size} samples, {strategy.world_size} × {strategy.device.type}, {options.precision}"
    )
    return trainer, tokenizers


def _write_whole(path: Path, text: str) -> None:
    """Write a small file so that a crash leaves the old content or the new."""
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _data(
    spec: Spec, tokenizer: Tokenizer | None, strategy: Strategy, say: Callable[[str], None]
) -> tuple[list[DataSet], Evaluator | None]:
    """Training sets and evaluator; the first process prepares, the others then find the cache."""
    training: list[DataSet] = []
    held_out: list[DataSet] = []
    options = spec.train.options
    for turn in (0, 1):
        failure: TPError | None = None
        if (strategy.rank == 0) == (turn == 0):
            try:
                for name, own in spec.sets().items():
                    processor = build_processor(spec, tokenizer, name)
                    assert processor is not None
                    share = own.data.mixing.share
                    assert own.data.options.train is not None
                    rows = prepared_rows(own, processor, own.data.options.train, say)
                    assert own.data.processor is not None
                    column, bucket = own.data.processor.config.length_column, own.data.options.bucket
                    training.append(DataSet(name, rows, processor, share, bucket, column))
                    if own.data.options.eval is not None:
                        rows = prepared_rows(own, processor, own.data.options.eval, say)
                        held_out.append(DataSet(name, rows, processor, share))
            except TPError as error:
                failure = error
        if strategy.agree(failure is not None):
            raise failure or EndedElsewhere("another process could not prepare the data")
        if strategy.world_size == 1:
            break
    if not held_out:
        return training, None
    size = options.eval_batch_size or options.batch_size
    return training, Evaluator(held_out, size, options.seed, options.eval_batches, options.workers)


def _finish(trainer: Trainer, tokenizers: Mapping[str, Tokenizer], say: Callable[[str], None]) -> TrainResult:
    if trainer.stopped is not None:
        say(f"stopped {trainer.stopped} at step {trainer.step}; the run is saved and goes on with --resume")
        return TrainResult(trainer.run, None, trainer.step, trainer.stopped)
    early = f"early: {trainer.best.describe()}" if trainer.best.exhausted() else None
    if early is not None:
        say(f"stopped {early}")
    if trainer.best.step is not None and trainer.best.options is not None and trainer.best.options.restore_best:
        best = trainer.store.path(trainer.best.step)
        problem = damage(best)
        if problem:
            say(f"the best checkpoint, {best.name}, cannot be used ({problem}); exporting the last weights instead")
        elif trainer.best.step != trainer.step:
            trainer.model.load_weights(read_weights(best / WEIGHTS))
            say(f"exporting the weights of step {trainer.best.step}, the best evaluation")
    tensors = trainer.strategy.model_state(trainer.model)
    if trainer.strategy.rank == 0:
        try:
            export_model(trainer.spec, tensors, tokenizers, trainer.run / "model")
            copy_origin(trainer.run, trainer.run / "model")
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"{trainer.run / 'model'}: cannot be written: {reason}; the checkpoints are whole"
            raise CheckpointError(message) from error
        copy_local_modules(trainer.spec, trainer.run)  # a package that is called model gave way to the export
        say(f"exported {trainer.run / 'model'}")
    trainer.strategy.barrier()
    trainer.hooks.hook.tp_train_end(trainer=trainer)
    return TrainResult(trainer.run, trainer.run / "model", trainer.step, early)
