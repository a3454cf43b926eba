"""``evaluate``: losses and metrics of a trained model on a file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable

from tp_core.data.cache import prepared_rows
from tp_core.data.loader import evaluation_batches
from tp_core.errors import TPError
from tp_core.inference.batches import need_batch_size
from tp_core.inference.load import LoadedModel, load_model
from tp_core.inference.processes import ALONE, Processes
from tp_core.spec.metrics import set_metrics
from tp_core.training.evaluation import evaluate_batches
from tp_core.training.strategies import SingleStrategy


def evaluate(
    model: LoadedModel | str | os.PathLike[str],
    data: str | list[str],
    batch_size: int = 32,
    columns: dict[str, str] | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """Mean loss, loss per target and metrics of a model on labelled data.

    Args:
        model: a loaded model, or its folder.
        data: files in any form that training reads.
        columns: field the processor reads → column of the file; the spec's if None.
        processes: share the batches (:func:`tp_core.inference.processes.shared`); each gets the figures of all.
            Without it, each process evaluates all of its data.

    Raises:
        TPError: the model has no target or processor, or the data cannot be used.
    """
    need_batch_size(batch_size)
    loaded = model if isinstance(model, LoadedModel) else load_model(model, device, processes=processes)
    if loaded.processor is None or not len(loaded.model.targets):
        raise TPError("evaluation needs a model with a target and a processor; this one's spec has none")
    options = loaded.spec.data.options
    if columns is not None:
        options = options.model_copy(update={"columns": columns})
    spec = dataclasses.replace(loaded.spec, data=dataclasses.replace(loaded.spec.data, options=options))
    processor = loaded.processor
    rows = processes.first_then_others(lambda: prepared_rows(spec, processor, data, say))
    processes.need_same(rows.path.name, "the data")
    strategy = processes.strategy or SingleStrategy()
    strategy.device = loaded.device
    seed = spec.train.options.seed
    batches = evaluation_batches(rows, processor, batch_size, seed, processes.rank, processes.count)
    facts = set_metrics(loaded.model.spec, spec)
    return evaluate_batches(loaded.model, batches, strategy, contextlib.nullcontext, facts, processor)
