"""Models from folders: an export, a run, or one checkpoint of a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tp_core.bounded_reads import need_readable
from tp_core.data.cache_place import user_cache
from tp_core.data.digest_memo import DigestMemo
from tp_core.data.mixture import SetProcessor
from tp_core.errors import CheckpointError, TPError, warn
from tp_core.inference.checksum import checksum
from tp_core.inference.processes import ALONE, Processes
from tp_core.interfaces import Processor, Tokenizer
from tp_core.kept_contents import changed_since
from tp_core.manifest import MANIFEST, changed, damage
from tp_core.model import Model, meta_model
from tp_core.spec.context import data_context
from tp_core.spec.provenance import PROVENANCE, REQUIREMENTS, other_versions
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean, instead
from tp_core.training.checkpoint import CheckpointStore, step_of
from tp_core.training.export import ORIGIN, TRAINING, WEIGHTS
from tp_core.trust import trusting
from tp_core.use import load_for_use

#: Files of an exported model that people edit.
EDITABLE = ("spec.yaml", TRAINING, ORIGIN, PROVENANCE, REQUIREMENTS)


def find_model(path: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None) -> tuple[Path, Path]:
    """The spec file and the weights file that a path stands for.

    Args:
        path: an exported model, a run's folder (its export, else its newest whole checkpoint), or a checkpoint.

    Raises:
        CheckpointError: there is no model, or it is damaged.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TPError(f"expected a model as load_model gives it, or the folder of one, got {type(path).__name__}")
    folder = Path(path)
    if not folder.exists():
        raise CheckpointError(f"{folder}: there is no such folder{instead(folder)}")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: this is a file; expected the folder of a run, of a model or of a checkpoint")
    if step_of(folder) >= 0:
        problem = damage(folder)
        if problem:
            raise CheckpointError(f"{folder}: the checkpoint is damaged: {problem}")
        return folder.parent.parent / "spec.yaml", folder / WEIGHTS
    for candidate in (folder, folder / "model"):
        if (candidate / WEIGHTS).is_file() and (candidate / "spec.yaml").is_file():
            _need_whole(candidate, say)
            return candidate / "spec.yaml", candidate / WEIGHTS
    newest = CheckpointStore(folder / "checkpoints").newest(say)
    if newest is not None:
        say(f"{folder} has no export yet; using its newest checkpoint, {newest.name}")
        return folder / "spec.yaml", newest / WEIGHTS
    raise CheckpointError(f"{folder}: there is no model: no {WEIGHTS} with a spec.yaml, and no checkpoint")


def _need_whole(model: Path, say: Callable[[str], None]) -> None:
    """Make sure that an exported model is as it was written, if it says how: one that was put together by hand may not.

    Its content is read once, and again when sizes or times say that it has changed (:mod:`tp_core.manifest`). Of
    files that people edit, a change is told.

    Raises:
        CheckpointError: it is not.
    """
    if not (model / MANIFEST).exists():
        return
    with contextlib.ExitStack() as stack:
        memo = None
        with contextlib.suppress(TPError):  # there is no place for one
            memo = stack.enter_context(DigestMemo(user_cache()))
        problem = damage(model, memo, EDITABLE)
    if problem:
        yours = f"if the change is yours, delete {MANIFEST} there"
        raise CheckpointError(f"{model}: the model is not as it was written: {problem}; {yours}")
    if edited := changed(model, EDITABLE):
        say(f"{model}: not as it was written: {', '.join(edited)}")


def find_spec(path: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None) -> tuple[Spec, str, Path]:
    """The spec and the weights file that a path stands for, and which of its files are not those of the training.

    Packages of another major version than the model was made with are told, and so are such files.

    Returns:
        The spec, a difference in words, and the weights file. A run and its checkpoints name files that lie elsewhere,
        which may differ; the text is empty where none does.

    Raises:
        TPError: there is no model, or its spec cannot be loaded.
    """
    spec_file, weights = find_model(path, say)
    return *read_spec(spec_file, weights, say), weights


def read_spec(spec_file: Path, weights: Path, say: Callable[[str], None]) -> tuple[Spec, str]:
    """The spec and the difference of :func:`find_spec`, of files that :func:`find_model` has found."""
    spec = load_for_use(spec_file)
    for note in other_versions(spec_file.parent):
        say(note)
    other = changed_since(spec, weights.parent)
    if other:
        say(f"{weights.parent}: since the model was trained, files that it reads have changed: {other}")
    return spec, other


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        CheckpointError: the file is missing, truncated or no safetensors file, or cannot be read.
    """
    try:
        need_readable(path)
        return load_file(str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: this is no whole safetensors file: {error}") from None
    except (OSError, RuntimeError) as error:  # the latter is torch's, which maps the file
        raise CheckpointError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@dataclass
class LoadedModel:
    """A model with all that using it needs.

    Attributes:
        model: on its device; in evaluation mode until someone changes that.
        spec: the spec that it was trained with; with several data sets, as one of them sees it.
        weights: the file that it was read from; None for a model that was made here.
    """

    model: Model
    spec: Spec
    processor: Processor | None
    tokenizer: Tokenizer | None
    device: torch.device
    weights: Path | None = None


def build_tokenizer(spec: Spec) -> Tokenizer | None:
    """The spec's tokenizer, or None."""
    return None if spec.data.tokenizer is None else spec.data.tokenizer.config.build(data_context(spec))


def build_target_tokenizer(spec: Spec) -> Tokenizer | None:
    """The tokenizer of the decoder's side where it has one of its own, or None."""
    chosen = spec.data.target_tokenizer
    return None if chosen is None else chosen.config.build(data_context(spec))


def tokenizers_of(spec: Spec) -> dict[str, Tokenizer]:
    """The spec's tokenizers by their key of ``data``: ``tokenizer``, ``target_tokenizer``."""
    built = {"tokenizer": build_tokenizer(spec), "target_tokenizer": build_target_tokenizer(spec)}
    return {key: each for key, each in built.items() if each is not None}


def build_processor(spec: Spec, tokenizer: Tokenizer | None, data_set: str = "") -> Processor | None:
    """The spec's processor, or that of one of its data sets, or None."""
    own = spec.of_set(data_set)
    if own.data.processor is None:
        return None
    context = data_context(own, build_target_tokenizer(spec))
    processor: Processor = own.data.processor.config.build(context, tokenizer)
    if not data_set:
        return processor
    streams = [name for name in own.model.streams if name]
    single = streams[0] if streams and not own.data.processor.config.feeds_streams else None
    number = list(spec.data.sets).index(data_set)
    return SetProcessor(processor, [target.called for target in own.model.targets], single, number)


def load_model(
    path: str | os.PathLike[str],
    device: str = "auto",
    say: Callable[[str], None] = warn,
    data_set: str | None = None,
    processes: Processes = ALONE,
    trust_code: bool = False,
) -> LoadedModel:
    """Load a model from an export, a run or a checkpoint.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        say: told of other versions of packages, changed files, and a checkpoint that stands for a run.
        data_set: which of several data sets it is used as trained on; the first if None.
        processes: share the records that the model is for: each has a CUDA device of its own.
        trust_code: run the Python files of the model's folder, where its modules are in such files.

    Raises:
        CheckpointError: there is no model, or its weights do not fit its spec.
        TPError: there is no such data set, or processes find different weights.
    """
    where = processes.device(device)
    with trusting(trust_code):
        spec, _, weights = find_spec(path, say)
        model = meta_model(spec)
    tensors = read_weights(weights)
    model.missing_weights(tensors)  # a spec may say any size, and there may be no memory for it
    model.materialise(where).load_weights(tensors)
    del tensors
    if processes.count > 1:  # of a run that goes on, they may have found different checkpoints
        processes.need_same(checksum(model), "the weights of the model")
    model.eval()
    name = _data_set(spec, data_set)
    with trusting(trust_code):
        tokenizer = build_tokenizer(spec)
        processor = build_processor(spec, tokenizer, name)
    return LoadedModel(model, spec.of_set(name), processor, tokenizer, where, weights)


def loaded_model(
    model: LoadedModel | str | os.PathLike[str],
    device: str = "auto",
    processes: Processes = ALONE,
    trust_code: bool = False,
) -> LoadedModel:
    """A model that may be given by its folder, as :func:`load_model` loads it."""
    if isinstance(model, LoadedModel):
        return model
    return load_model(model, device, processes=processes, trust_code=trust_code)


def _data_set(spec: Spec, name: str | None) -> str:
    """The name of a data set, the first that feeds a target if None; empty for a spec that has only one."""
    if name is None:
        return next((name for name, own in spec.sets().items() if own.model.targets), next(iter(spec.sets())))
    if name not in spec.data.sets:
        known = f"the data sets are {', '.join(spec.data.sets)}" if spec.data.sets else "it has only one"
        near = did_you_mean(name, spec.data.sets) or known
        raise TPError(f"the model has no data set '{name}'; {near}")
    return name
