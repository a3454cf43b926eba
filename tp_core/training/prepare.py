"""Preparation of a run before its first step. The folder is written only once it is clear that the run can start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tp_core.artifacts.export import changed_local_files, copy_local_modules
from tp_core.artifacts.origin import keep_origin
from tp_core.data.build import tokenizers_of
from tp_core.files.whole_files import clear
from tp_core.interfaces import Tokenizer
from tp_core.model import Model, meta_model
from tp_core.processes.agreement import first_then_others, together
from tp_core.random_state import seed_all
from tp_core.spec.schema import Spec
from tp_core.spec.trained.provenance import other_versions
from tp_core.training.class_counts import with_class_counts
from tp_core.training.contents import compare_between, compare_with_checkpoint, run_contents, start_contents
from tp_core.training.data import data_sets
from tp_core.training.folder import RunFolder
from tp_core.training.init_from import initialise_from
from tp_core.training.initial_weights import REPORT, InitialWeights
from tp_core.training.resuming.changes_file import record_changes
from tp_core.training.resuming.start import Start
from tp_core.training.resuming.starts_file import machine, record_start
from tp_core.training.strategies.base import Strategy
from tp_core.training.trainer import Trainer

Say = Callable[[str], None]


def prepare(
    spec: Spec, folder: RunFolder, start: Start, strategy: Strategy, hooks: Any, resume: bool, say: Say
) -> tuple[Trainer, Mapping[str, Tokenizer]]:
    """The trainer at its first step, and the tokenizers."""
    options, processes = spec.train.options, strategy.processes
    tokenizers = tokenizers_of(spec)  # load now: the files may change during training
    contents = first_then_others(processes, run_contents, spec, say)
    begin = {} if start.checkpoint else together(processes, start_contents, spec)
    compare_between(processes.gather, spec, contents | begin)
    if start.checkpoint is not None:
        compare_with_checkpoint(contents, start.checkpoint, say)
    sets, evaluator = data_sets(spec, tokenizers.get("tokenizer"), contents, processes, say)
    spec = together(processes, with_class_counts, spec, sets)
    seed_all(options.seed, strategy.data_parallel.rank)

    def built() -> tuple[Model, InitialWeights | None]:
        model, report = meta_model(spec), None
        strategy.place(model, options.seed)
        if start.checkpoint is None and spec.init_from:
            load = strategy.load_weights
            report = initialise_from(model, spec.init_from, say, tokenizers, spec.require_init, load)
        hooks.hook.tp_model_built(model=model, spec=spec)
        return model, report

    model, report = together(processes, built)
    count = sum(p.numel() for p in model.parameters())  # before a strategy divides them
    trainer = Trainer(spec, folder.path, model, strategy, sets, evaluator, hooks, contents)
    if start.checkpoint is not None:
        trainer.resume(start.checkpoint, start.state)
    together(processes, _write, spec, folder, start, trainer, resume, report, say)
    if start.checkpoint is None:
        if resume:
            say(f"{folder.path} has no checkpoint yet; starting from the beginning")
    elif trainer.complete:
        say(f"{folder.path}: the run is complete at step {trainer.step}")
    else:
        say(f"resuming {folder.path} at step {trainer.step} of {trainer.total_steps}")
    for line in (*start.notes(), *strategy.notes()):
        say(line)
    say(
        f"training {spec.name}: {count:,} parameters, {trainer.instances:,} instances, {trainer.total_steps:,} steps "
        f"of {options.batch_size} samples, {strategy.world_size} × {strategy.device.type}, {options.precision}"
    )
    return trainer, tokenizers


def _write(
    spec: Spec,
    folder: RunFolder,
    start: Start,
    trainer: Trainer,
    resume: bool,
    report: InitialWeights | None,
    say: Say,
) -> None:
    """Take the run's folder and write everything known before the first step; only the first process writes."""
    if trainer.strategy.rank:
        return
    folder.take(resume)
    clear(folder.path, owned=True)
    trainer.checkpoints.store.clean(protect=trainer.early_stopper.step)
    for note in other_versions(folder.path):
        say(note)
    folder.write_spec(spec)
    record_changes(folder.path, start.step, start.changes)
    if others := record_start(folder.path, start.step, machine(trainer.strategy)):
        say(f"the machine or software has changed, so results may differ in the last bits: {', '.join(others)}")
    if start.checkpoint is not None and (changed := changed_local_files(spec, folder.path)):
        say(f"changed since the run was last started, and used as they are now: {', '.join(changed)}")
    copy_local_modules(spec, folder.path)
    if start.checkpoint is None:
        keep_origin(spec, folder.path)
        (folder.path / REPORT).unlink(missing_ok=True)  # of an earlier start
        if report is not None:
            report.write(folder.path)
