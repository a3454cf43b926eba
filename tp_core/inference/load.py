"""Models from folders: an export, a run, or one checkpoint of a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tp_core.errors import CheckpointError
from tp_core.interfaces import Processor, Tokenizer
from tp_core.model import Model, meta_model
from tp_core.spec.checks import data_context
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec
from tp_core.training.checkpoint import CheckpointStore, damage, step_of
from tp_core.training.export import WEIGHTS


def find_model(path: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None) -> tuple[Path, Path]:
    """The spec file and the weights file that a path stands for.

    Args:
        path: an exported model, a run's folder (its export, else its newest whole checkpoint), or a checkpoint.

    Raises:
        CheckpointError: there is no model, or the checkpoint is damaged.
    """
    folder = Path(path)
    if not folder.exists():
        raise CheckpointError(f"{folder}: there is no such folder")
    if step_of(folder) >= 0:
        problem = damage(folder)
        if problem:
            raise CheckpointError(f"{folder}: the checkpoint is damaged: {problem}")
        return folder.parent.parent / "spec.yaml", folder / WEIGHTS
    for candidate in (folder, folder / "model"):
        if (candidate / WEIGHTS).is_file() and (candidate / "spec.yaml").is_file():
            return candidate / "spec.yaml", candidate / WEIGHTS
    newest = CheckpointStore(folder / "checkpoints").newest(say)
    if newest is not None:
        say(f"{folder} has no export yet; using its newest checkpoint, {newest.name}")
        return folder / "spec.yaml", newest / WEIGHTS
    raise CheckpointError(f"{folder}: there is no model: no {WEIGHTS} with a spec.yaml, and no checkpoint")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        CheckpointError: the file is missing, truncated or no safetensors file.
    """
    try:
        return load_file(str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: this is no whole safetensors file: {error}") from None


@dataclass
class LoadedModel:
    """A model with all that using it needs.

    Attributes:
        model: in evaluation mode, on its device.
        spec: the spec that it was trained with.
    """

    model: Model
    spec: Spec
    processor: Processor | None
    tokenizer: Tokenizer | None
    device: torch.device


def build_tokenizer(spec: Spec) -> Tokenizer | None:
    """The spec's tokenizer, or None."""
    return None if spec.data.tokenizer is None else spec.data.tokenizer.config.build(data_context(spec))


def build_processor(spec: Spec, tokenizer: Tokenizer | None) -> Processor | None:
    """The spec's processor, or None."""
    return None if spec.data.processor is None else spec.data.processor.config.build(data_context(spec), tokenizer)


def load_model(
    path: str | os.PathLike[str], device: str = "auto", say: Callable[[str], None] = lambda _: None
) -> LoadedModel:
    """Load a model from an export, a run or a checkpoint.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        CheckpointError: there is no model, or its weights do not fit its spec.
    """
    from tp_core.training.strategies.base import pick_device

    spec_file, weights = find_model(path, say)
    spec = load_spec(spec_file)
    where = pick_device(device)
    model = meta_model(spec).materialise(where)
    model.load_weights(read_weights(weights))
    model.eval()
    tokenizer = build_tokenizer(spec)
    return LoadedModel(model, spec, build_processor(spec, tokenizer), tokenizer, where)


def initialise_from(model: Model, path: str, say: Callable[[str], None]) -> None:
    """Start from another model's weights: all of the body, and those of the targets that have the same names.

    Raises:
        CheckpointError: a weight of the body is missing or has another shape.
    """
    _, weights = find_model(path, say)
    tensors = read_weights(weights)
    try:
        missing, unused = model.load_weights(tensors, optional=("targets.",))
    except CheckpointError as error:
        raise CheckpointError(f"init_from {path}: {error}") from None
    loaded = len(model.weights()) - len(missing)
    rest = ""
    for word, names in (("new", missing), ("unused", unused)):
        modules = sorted({".".join(name.split(".")[:2]) for name in names})
        rest += f"; {word}: {', '.join(modules)}" if modules else ""
    say(f"loaded {loaded} weights from {path}{rest}")
