"""The end of a run: export of the best or last weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError

from tp_core.artifacts.export import copy_local_modules, export_model
from tp_core.artifacts.origin import copy_origin
from tp_core.data.cache.manifest import damage
from tp_core.errors import CheckpointError
from tp_core.interfaces import Tokenizer
from tp_core.processes.agreement import together
from tp_core.training.initial_weights import read_report
from tp_core.training.same_weights import need_same_weights
from tp_core.training.strategies.snapshot import InTurn
from tp_core.training.trainer import Trainer

Say = Callable[[str], None]


def finish(trainer: Trainer, tokenizers: Mapping[str, Tokenizer], say: Say) -> str | None:
    """Export the model of a finished run; returns the reason if it ended before its last step, else None.

    Raises:
        CheckpointError: the model could not be written; its checkpoint exists.
    """
    need_same_weights(trainer.strategy, trainer.model, trainer.step)
    early = f"early: {trainer.early_stopper.describe()}" if trainer.early_stopper.exhausted() else None
    if early is not None:
        say(f"stopped {early}")
    _restore_best(trainer, say)
    weights = trainer.strategy.weights(trainer.model)
    joined = InTurn(weights, trainer.strategy.whole)

    def copied_origin(folder: Path) -> None:
        copy_origin(trainer.run, folder)

    def export() -> None:
        if trainer.strategy.rank:
            joined.join_rest()
        else:
            try:
                folder = trainer.run / "model"
                export_model(trainer.spec, weights, tokenizers, folder, copied_origin, trainer.contents, joined.whole)
            except (OSError, SafetensorError) as error:
                reason = getattr(error, "strerror", None) or error
                message = f"{trainer.run / 'model'}: cannot be written: {reason}"
                left = "the checkpoints are whole, and --resume exports the model"
                raise CheckpointError(f"{message}; {left}") from error
            finally:
                joined.join_rest()
            copy_local_modules(trainer.spec, trainer.run)  # the export replaces a package that is named model
            say(f"exported {trainer.run / 'model'}")
            report = read_report(trainer.run)
            if report is not None and (reminder := report.reminder()):
                say(reminder)

    together(trainer.strategy.processes, export)
    together(trainer.strategy.processes, trainer.hooks.hook.tp_train_end, trainer=trainer)
    return early


def _restore_best(trainer: Trainer, say: Say) -> None:
    """Load the weights of the best evaluation, if the spec asks for them."""
    if (
        trainer.early_stopper.step is None
        or trainer.early_stopper.options is None
        or not trainer.early_stopper.options.restore_best
    ):
        return
    best = trainer.checkpoints.store.path(trainer.early_stopper.step)
    problem = damage(best)
    if problem:
        say(f"the best checkpoint, {best.name}, cannot be used ({problem}); exporting the last weights instead")
    elif trainer.early_stopper.step != trainer.step:
        trainer.strategy.restore_weights(trainer.model, best)
        say(f"exporting the weights of step {trainer.early_stopper.step}, the best evaluation")
