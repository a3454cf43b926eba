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
from tp_core.training.evaluation import evaluate_batches
from tp_core.training.strategies import SingleStrategy


def evaluate(
    model: LoadedModel | str | os.PathLike[str],
    data: str | list[str],
    batch_size: int = 32,
    columns: dict[str, str] | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Mean loss, loss per target and metrics of a model on labelled data.

    Args:
        model: a loaded model, or its folder.
        data: files in any form that training reads.
        columns: field the processor reads → column of the file; the spec's if None.

    Raises:
        TPError: the model has no target or processor, or the data cannot be used.
    """
    need_batch_size(batch_size)
    loaded = model if isinstance(model, LoadedModel) else load_model(model, device, say)
    if loaded.processor is None or not len(loaded.model.targets):
        raise TPError("evaluation needs a model with a target and a processor; this one's spec has none")
    options = loaded.spec.data.options
    if columns is not None:
        options = options.model_copy(update={"columns": columns})
    spec = dataclasses.replace(loaded.spec, data=dataclasses.replace(loaded.spec.data, options=options))
    rows = prepared_rows(spec, loaded.processor, data, say)
    strategy = SingleStrategy()
    strategy.device = loaded.device
    batches = evaluation_batches(rows, loaded.processor, batch_size, spec.train.options.seed)
    return evaluate_batches(loaded.model, batches, strategy, contextlib.nullcontext, loaded.processor)
