"""Checks that a valid spec has everything for preparing data and training: files, processor, target, length."""

from __future__ import annotations

import os
from pathlib import Path

from tp_core import discovery
from tp_core.files.tensor_paths import is_stored
from tp_core.options.choice import Chosen, choices_in, label_makers
from tp_core.options.context import DataContext
from tp_core.options.processor import ProcessorConfig
from tp_core.options.source import SourceConfig
from tp_core.spec.checks.files import expand, no_folder, unusable
from tp_core.spec.checks.module_files import check_files
from tp_core.spec.checks.plugin_problems import files_of, listed, plugin_errors_told
from tp_core.spec.checks.training import check_training
from tp_core.spec.choices.module_nodes import all_modules, node_of
from tp_core.spec.context import data_context
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.metrics import early_stopping_problems
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import SOURCES
from tp_core.spec.trained.local_files import local_files
from tp_core.spec.tree.nodes import Node
from tp_core.suggest import did_you_mean, instead


def check_data(spec: Spec) -> None:
    """Check that a valid spec has everything that preparing data needs.

    Raises:
        SpecError: the message has every problem.
    """
    problems = Problems()
    with plugin_errors_told(problems, lambda: spec):
        _check_data(spec, problems)
    if problems:
        raise SpecError(problems)


def _check_data(spec: Spec, problems: Problems) -> None:
    if spec.data.options.cache and (why := no_folder(spec.data.options.cache)):
        problems.add("data.cache", why, spec.tree.find(("data", "cache")))
    for name, part in spec.sets().items():
        _check_data_set(part, ("data", "sets", name) if name else ("data",), problems)


def _check_data_set(spec: Spec, where: tuple[str, ...], problems: Problems) -> None:
    root, processor = spec.tree, spec.data.processor
    data, path_of_set = root.find(where), ".".join(where)
    if spec.data.options.train is None and spec.train.options.trains:
        problems.add(f"{path_of_set}.train", "is required: the files to train on", data, key=True)
    if processor is None:
        message = f"is required: what turns records into samples; installed: {_installed('processor')}"
        problems.add(f"{path_of_set}.processor", message, data, key=True)
    elif processor.config.needs_tokenizer and spec.data.tokenizer is None:
        message = f"is required by {processor.path}; installed: {_installed('tokenizer')}"
        problems.add("data.tokenizer", message, data, key=True)
    for problem in listed(processor.config, "check_data") if processor is not None else ():
        assert processor is not None
        path = f"{processor.path}.{problem.option}".removesuffix(".")
        problems.add(path, problem.message, node_of(root, processor, problem.option), key=True)
    if spec.data.options.bucket is not None and processor is not None and processor.config.length_column is None:
        message = f"sorts by length, and the processor '{processor.name}' does not say which length; leave it out"
        own = where if "bucket" in data.mapping else ("data",)
        problems.add(f"{'.'.join(own)}.bucket", message, root.find((*own, "bucket")))
    if spec.data.options.balance is not None and processor is not None:
        own = where if "balance" in data.mapping else ("data",)
        if message := _unbalanced(processor, data_context(spec)):
            problems.add(f"{'.'.join(own)}.balance", message, root.find((*own, "balance")))
    for key in SOURCES:
        own = where if key in data.mapping else ("data",)
        if getattr(spec.data.options, key) == []:
            message = "names no file; expected one or more paths"
            problems.add(f"{'.'.join(own)}.{key}", message, root.find((*own, key)))
        for number, given in enumerate(spec.data.options.given(key)):
            if isinstance(given, Chosen):
                check_source(given, root, problems)
                continue
            for message in filter(None, map(unusable, expand(given))):
                problems.add(f"{'.'.join(own)}.{key}", message, root.find((*own, key, number)))
    _check_sides(spec, root, problems)


def _check_sides(spec: Spec, root: Node, problems: Problems) -> None:
    """Report evaluation data that do not fit the training data."""
    train, held = (
        [given for given in spec.data.options.given(key) if isinstance(given, Chosen)] for key in ("train", "eval")
    )
    for chosen in held:
        for other in train:
            for problem in chosen.config.check_beside(other.config):
                node = node_of(root, chosen, problem.option)
                problems.add(f"{chosen.path}.{problem.option}", problem.message, node, key=True)


def _unbalanced(processor: Chosen[ProcessorConfig], data: DataContext) -> str:
    """The reason why the classes of a processor's labels cannot be balanced; empty if they can."""
    if processor.config.class_column(data) is not None:
        return ""
    if len(data.labels) > 1:
        names = ", ".join(data.labels)
        return f"balances the classes of one label, but data.labels names several: {names}; leave it out"
    return f"balances classes, and the processor '{processor.name}' has no class labels; leave it out"


def check_source(chosen: Chosen[SourceConfig], root: Node, problems: Problems) -> None:
    """Report problems with the files of a source and of the sources that it reads, and other missing requirements."""
    found = [
        (option, message)
        for option, path in files_of(chosen.config).items()
        for message in filter(None, map(unusable, expand(path)))
    ]
    for option, message in found or listed(chosen.config, "check_data"):
        name = option.partition(".")[0]  # without the index of a file in a list
        problems.add(f"{chosen.path}.{option}".removesuffix("."), message, node_of(root, chosen, name))
    for _, inner in choices_in(chosen.config):
        check_source(inner, root, problems)


def check_run(spec: Spec, resume: bool = False, checkpoint: bool = False) -> None:
    """Check that a valid spec has everything that training needs: targets, length, and non-empty data.

    Args:
        resume: True if the run's folder already exists.
        checkpoint: True if the run resumes from a checkpoint; requirements of a first start are then skipped.

    Raises:
        SpecError: the message has every problem.
        TPError: local files that a run cannot store together.
    """
    problems = Problems()
    with plugin_errors_told(problems, lambda: spec):
        _check_run(spec, resume, checkpoint, problems)
        if problems:
            raise SpecError(problems)
        local_files(spec)


def _check_run(spec: Spec, resume: bool, checkpoint: bool, problems: Problems) -> None:
    root = spec.tree
    if not spec.model.targets:
        message = f"training needs at least one target; installed: {_installed('target')}"
        problems.add("model.target", message, root.find(("model",)), key=True)
    _check_data(spec, problems)
    if spec.train.options.steps is None and spec.train.options.epochs is None:
        problems.add("train.steps", "give train.steps or train.epochs", root.find(("train",)), key=True)
    check_training(spec, problems)
    _check_batch(spec, problems)
    _check_early_stopping(spec, problems)
    every = all_modules(spec)
    check_files(every, root, problems, training=True)
    check_files({id(maker): maker for chosen in every for maker in label_makers(chosen)}.values(), root, problems)
    if not checkpoint:
        _check_init_from(spec, problems, "; the run has no checkpoint yet, and begins with its weights" * resume)


def _check_init_from(spec: Spec, problems: Problems, why: str) -> None:
    known = _parts(spec)
    for part, path in spec.init_from.items():
        place = ("init_from", part) if part else ("init_from",)
        node = spec.tree.find(place)
        if part and part not in known:
            hint = did_you_mean(part, known) or f"it has {', '.join(known)}"
            message = f"the model has no part '{part}' with weights of its own; {hint}"
            problems.add(".".join(place), message, node, key=True)
        elif not os.path.exists(path):
            problems.add(".".join(place), f"there is no model at {path}{why}{instead(path)}", node)
        elif not _holds_model(Path(path)):
            message = f"{path} is neither a run, nor an exported model, nor a checkpoint"
            if (Path(path) / "config.json").is_file():
                advice = f"tp convert --from huggingface {path} --to tp FOLDER makes one that init_from can read"
                message = f"{path} is a model of Hugging Face; {advice}"
            problems.add(".".join(place), message, node)


def _parts(spec: Spec) -> list[str]:
    """The parts of a model that can be initialised from separate models."""
    model = spec.model
    found = [name for name, stream in model.streams.items() if name and not stream.same_as]
    if not found:
        found = ["embedding", "encoder"]
    named = {"target_embedding": model.target_embedding, "decoder": model.decoder, "fusion": model.fusion}
    return [*found, *(name for name, each in named.items() if each is not None), "target"]


def _check_batch(spec: Spec, problems: Problems) -> None:
    options = spec.train.options
    samples = options.batch_size // options.accumulate
    for target in spec.model.targets:
        if samples < target.config.least_samples:
            message = (
                f"is {options.batch_size}, in {options.accumulate} × {samples}; "
                f"the target '{target.instance_name}' learns from {target.config.least_samples} or more at a time"
            )
            problems.add("train.batch_size", message, spec.tree.find(("train", "batch_size")))


def _check_early_stopping(spec: Spec, problems: Problems) -> None:
    place = ("train", "early_stopping")
    node = spec.tree.find(place)
    for problem in early_stopping_problems(spec):
        written = problem.option in node.mapping
        path = (*place, problem.option) if problem.option else place
        problems.add(".".join(path), problem.message, spec.tree.find(path) if written else node, key=not written)


def _holds_model(folder: Path) -> bool:
    """True if a folder looks like one in which ``tp_core.artifacts.find.find_model`` finds a model."""
    if (folder / "config.json").is_file() and not (folder / "spec.yaml").is_file():
        return False  # of Hugging Face
    places = (folder, folder / "model", *(folder / "checkpoints").glob("step_*"))
    return any(is_stored(place, "model") for place in places)


def _installed(kind: str) -> str:
    return ", ".join(discovery.index().names(kind)) or "none"
