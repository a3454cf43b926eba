"""``embed``: one vector per record."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.errors import DataError, TPError
from tp_core.inference.batches import inference_batches
from tp_core.inference.load import LoadedModel, load_model
from tp_core.inference.predict import as_records
from tp_core.suggest import did_you_mean


def embed(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Iterable[Any],
    pooling: str = "mean",
    batch_size: int = 32,
    device: str = "auto",
    stream: str | None = None,
) -> NDArray[np.float32]:
    """Features of the encoder's last layer, pooled over each record's real positions.

    Args:
        model: a loaded model, or its folder.
        inputs: texts, dictionaries of fields, or records.
        pooling: ``mean``, ``first``, ``max`` or ``last``.
        stream: of a model with named streams, which one; the first if None.

    Returns:
        (records, hidden_size of the encoder), float32, in order.

    Raises:
        TPError: the model has no processor, or there is no such pooling or stream.
        DataError: a record has nothing for the stream.
    """
    if pooling not in ("mean", "first", "max", "last"):
        raise TPError(f"unknown pooling '{pooling}'; expected mean, first, max or last")
    loaded = model if isinstance(model, LoadedModel) else load_model(model, device)
    if loaded.processor is None:
        raise TPError("embedding needs a model with a processor; this one's spec has none")
    names = [name for name in loaded.spec.model.streams if name]
    if stream is not None and stream not in names:
        near = did_you_mean(stream, names) or f"its streams are {', '.join(names) or 'none'}"
        raise TPError(f"the model has no stream '{stream}'; {near}")
    parts: list[NDArray[np.float32]] = []
    for chunk, groups, batches in inference_batches(as_records(inputs), loaded.processor, batch_size, loaded.device):
        part: NDArray[np.float32] | None = None
        for group, batch in zip(groups, batches):
            if names:  # the other streams need not be computed
                chosen = stream or names[0]
                if chosen not in batch.source:
                    record = chunk[group[0]]
                    there = ", ".join(batch.source)
                    message = f"the record has nothing for the stream '{chosen}', only for {there} (--stream)"
                    raise DataError(message, file=record.file, line=record.line)
                batch = replace(batch, source={chosen: batch.source[chosen]})
            with torch.inference_mode():
                pooled = loaded.model.encode_source(batch).sequence.pooled(pooling).float().cpu().numpy()
            if part is None:
                part = np.empty((len(chunk), pooled.shape[1]), dtype=np.float32)
            part[group] = pooled
        if part is not None:
            parts.append(part)
    if not parts:
        width = loaded.spec.model.streams[stream or next(iter(loaded.spec.model.streams))].encoder.config.hidden_size
        return np.empty((0, width), np.float32)
    return np.concatenate(parts)
