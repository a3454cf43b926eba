"""Models from folders: an export, a run, or one checkpoint of a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tp_core.artifacts.checksum import checksum
from tp_core.artifacts.specs import find_spec
from tp_core.artifacts.weights import read_weights
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.routing import Feed, route_of
from tp_core.errors import TPError, warn
from tp_core.interfaces import Processor, Tokenizer
from tp_core.local.trust import trusting
from tp_core.model import Model, meta_model
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean


@dataclass
class LoadedModel:
    """A model with everything that is needed to use it.

    Attributes:
        model: the model on its device; initially in evaluation mode.
        spec: spec that it was trained with; with several data sets, as seen by one of them.
        weights: file that the weights were read from; None for a model that was built here.
        data_set: name of the data set that the model is used with; empty if there is only one.
    """

    model: Model
    spec: Spec
    processor: Processor | None
    tokenizer: Tokenizer | None
    device: torch.device
    weights: Path | None = None
    data_set: str = ""

    @property
    def feed(self) -> Feed:
        """Makes batches of records.

        Raises:
            TPError: the model has no processor.
        """
        if self.processor is None:
            raise TPError("reading records needs a model with a processor; this one's spec has none")
        return Feed(self.processor, route_of(self.model.spec, self.data_set))


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
        say: called with messages about other package versions, changed files, and a checkpoint used in place of an
            export.
        data_set: name of the data set that the model is used with; default: the first.
        processes: the processes that share the records; each gets its own CUDA device.
        trust_code: True to run the Python files in the model's folder that define its modules.

    Raises:
        CheckpointError: there is no model, or its weights do not fit its spec.
        TPError: there is no such data set, or the processes found different weights.
    """
    where = processes.device(device)
    with trusting(trust_code):
        spec, _, weights = find_spec(path, say)
        model = meta_model(spec)
    tensors = read_weights(weights)
    model.missing_weights(tensors)  # check first: the spec may ask for more memory than there is
    model.materialise(where).load_weights(tensors)
    del tensors
    if processes.count > 1:  # while a run continues, they may have found different checkpoints
        processes.need_same(checksum(model), "the weights of the model")
    model.eval()
    name = _data_set(spec, data_set)
    with trusting(trust_code):
        tokenizer = build_tokenizer(spec)
        processor = build_processor(spec, tokenizer, name)
    return LoadedModel(model, spec.of_set(name), processor, tokenizer, where, weights, name)


def loaded_model(
    model: LoadedModel | str | os.PathLike[str],
    device: str = "auto",
    processes: Processes = ALONE,
    trust_code: bool = False,
) -> LoadedModel:
    """Return a loaded model, or load the model of a folder with :func:`load_model`."""
    if isinstance(model, LoadedModel):
        return model
    return load_model(model, device, processes=processes, trust_code=trust_code)


def _data_set(spec: Spec, name: str | None) -> str:
    """The name of a data set, by default the first that feeds a target; empty for a spec with only one."""
    if name is None:
        return next((name for name, own in spec.sets().items() if own.model.targets), next(iter(spec.sets())))
    if name not in spec.data.sets:
        known = f"the data sets are {', '.join(spec.data.sets)}" if spec.data.sets else "it has only one"
        near = did_you_mean(name, spec.data.sets) or known
        raise TPError(f"the model has no data set '{name}'; {near}")
    return name
