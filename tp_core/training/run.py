"""``train``: from a spec to a run's folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tp_core.data.cache import prepared_rows
from tp_core.errors import CheckpointError, TPError
from tp_core.hookspecs import hook_manager
from tp_core.inference.load import build_processor, build_tokenizer, initialise_from, read_weights
from tp_core.interfaces import Processor, Tokenizer
from tp_core.model import build_model
from tp_core.spec.checks import check_run
from tp_core.spec.schema import Spec
from tp_core.training.checkpoint import CheckpointStore
from tp_core.training.evaluation import Evaluator
from tp_core.training.export import WEIGHTS, export_model
from tp_core.training.random_state import seed_all
from tp_core.training.strategies import Strategy, build_strategy
from tp_core.training.trainer import Trainer

#: Parts of a spec that a resumed run may not change: the saved state would mean something else.
_FIXED = ("model", "data.tokenizer", "data.processor", "train.batch_size", "train.seed", "train.optimizer")


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

    Args:
        run: folder of the run, ``runs/<spec name>`` if None. It gets the resolved spec, metrics, checkpoints and the
            exported model.
        resume: go on from the newest whole checkpoint of the folder; without one, start.

    Raises:
        TPError: the folder holds another run, the data cannot be used, a loss is not finite, ...
    """
    check_run(spec)
    folder = Path(run) if run is not None else Path("runs") / spec.name
    strategy = build_strategy(spec.train.strategy)
    say: Callable[[str], None] = lambda _: None  # noqa: E731
    if strategy.rank == 0 and int(os.environ.get("RANK", 0)) == 0:

        def say(message: str) -> None:
            print(message, file=sys.stderr, flush=True)

    _claim(folder, spec, resume)
    strategy.setup(spec.train.options.device)
    trainer: Trainer | None = None
    hooks = hook_manager((h.name, h.config.build()) for h in spec.train.hooks)
    try:
        _run_checks(hooks, spec)
        trainer, tokenizer = _prepare(spec, folder, strategy, hooks, resume, say)
        if trainer.step < trainer.total_steps or not (folder / "model").exists():
            trainer.fit()
            return _finish(trainer, tokenizer, say)
        say(f"{folder}: the run is complete; nothing is left to do")
        return TrainResult(folder, folder / "model", trainer.step, None)
    except BaseException as error:
        if trainer is not None:
            hooks.hook.tp_run_failed(trainer=trainer, error=error)
        raise
    finally:
        strategy.teardown()


def _run_checks(hooks: Any, spec: Spec) -> None:
    messages = [message for found in hooks.hook.tp_check(spec=spec) for message in found or ()]
    if messages:
        raise TPError("\n".join(messages))


def _claim(folder: Path, spec: Spec, resume: bool) -> None:
    """Make sure that the folder is new, or holds this very run."""
    if folder.exists() and not folder.is_dir():
        raise TPError(f"{folder}: this is a file; a run needs a folder (--run DIR)")
    used = folder.is_dir() and any((folder / n).exists() for n in ("spec.yaml", "checkpoints", "metrics.jsonl", "model"))
    if used and not resume:
        raise TPError(
            f"{folder}: this folder already holds a run; continue it with --resume, or choose another with --run DIR"
        )
    if not used and folder.is_dir() and any(folder.iterdir()) and not resume:
        raise TPError(f"{folder}: this folder is not empty and holds no run; choose another with --run DIR")
    if used and (folder / "spec.json").exists():
        before = json.loads((folder / "spec.json").read_text())
        changed = _changes(before, spec.dump())
        if changed:
            raise TPError(
                f"{folder}: the spec differs from the run's in {', '.join(changed)}; these cannot change on --resume "
                "(start another run with --run DIR, and init_from for its weights)"
            )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    def at(tree: Any, path: str) -> Any:
        for part in path.split("."):
            tree = tree.get(part) if isinstance(tree, dict) else None
        return tree

    return [path for path in _FIXED if at(before, path) != at(now, path)]


def _prepare(
    spec: Spec, folder: Path, strategy: Strategy, hooks: Any, resume: bool, say: Callable[[str], None]
) -> tuple[Trainer, Tokenizer | None]:
    options = spec.train.options
    tokenizer = build_tokenizer(spec)
    processor = build_processor(spec, tokenizer)
    assert processor is not None
    rows, evaluator = _data(spec, processor, strategy, say)
    seed_all(options.seed, strategy.rank)
    model = build_model(spec, strategy.device)
    store = CheckpointStore(folder / "checkpoints")
    newest = store.newest(say) if resume else None
    if newest is None and spec.init_from is not None:
        initialise_from(model, spec.init_from, say)
    hooks.hook.tp_model_built(model=model, spec=spec)
    if strategy.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        store.clean()
        (folder / "spec.yaml").write_text(spec.to_yaml(), encoding="utf-8")
        (folder / "spec.json").write_text(json.dumps(spec.dump()), encoding="utf-8")
        (folder / "provenance.json").write_text(json.dumps(spec.provenance(), indent=1) + "\n")
    trainer = Trainer(spec, folder, model, strategy, rows, processor, evaluator, hooks)
    strategy.barrier()
    if newest is not None:
        trainer.resume(newest)
        say(f"resuming {folder} at step {trainer.step} of {trainer.total_steps}")
    elif resume:
        say(f"{folder} has no checkpoint yet; starting from the beginning")
    count = sum(p.numel() for p in model.parameters())
    say(
        f"training {spec.name}: {count:,} parameters, {len(rows):,} instances, {trainer.total_steps:,} steps of "
        f"{options.batch_size} samples, {strategy.world_size} × {strategy.device.type}, {options.precision}"
    )
    return trainer, tokenizer


def _data(
    spec: Spec, processor: Processor, strategy: Strategy, say: Callable[[str], None]
) -> tuple[Any, Evaluator | None]:
    """Training rows and evaluator; the first process prepares, the others then find the cache."""
    found: list[Any] = []
    options = spec.train.options
    for turn in (0, 1):
        if (strategy.rank == 0) == (turn == 0):
            failure: TPError | None = None
            try:
                assert spec.data.options.train is not None
                found = [prepared_rows(spec, processor, spec.data.options.train, say)]
                if spec.data.options.eval is not None:
                    found.append(prepared_rows(spec, processor, spec.data.options.eval, say))
            except TPError as error:
                failure = error
        else:
            failure = None
        if strategy.agree(failure is not None):
            raise failure or TPError("the first process could not prepare the data")
        if strategy.world_size == 1:
            break
    if len(found) == 1:
        return found[0], None
    size = options.eval_batch_size or options.batch_size
    return found[0], Evaluator(found[1], processor, size, options.seed, options.eval_batches, options.workers)


def _finish(trainer: Trainer, tokenizer: Tokenizer | None, say: Callable[[str], None]) -> TrainResult:
    early = trainer.best.exhausted()
    if trainer.stopped is not None and not early:
        say(f"stopped {trainer.stopped} at step {trainer.step}; the run is saved and goes on with --resume")
        return TrainResult(trainer.run, None, trainer.step, trainer.stopped)
    if trainer.stopped is not None:
        say(f"stopped {trainer.stopped}")
    if trainer.best.step is not None and trainer.best.options is not None and trainer.best.options.restore_best:
        best = trainer.store.path(trainer.best.step)
        if best.exists() and trainer.best.step != trainer.step:
            trainer.model.load_weights(read_weights(best / WEIGHTS))
            say(f"exporting the weights of step {trainer.best.step}, the best evaluation")
    tensors = trainer.strategy.model_state(trainer.model)
    if trainer.strategy.rank == 0:
        try:
            export_model(trainer.spec, tensors, tokenizer, trainer.run / "model")
        except OSError as error:
            message = f"{trainer.run / 'model'}: cannot be written: {error.strerror}; the checkpoints are whole"
            raise CheckpointError(message) from error
        say(f"exported {trainer.run / 'model'}")
    trainer.strategy.barrier()
    trainer.hooks.hook.tp_train_end(trainer=trainer)
    return TrainResult(trainer.run, trainer.run / "model", trainer.step, trainer.stopped)
