"""``embed``: one vector per record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.fields import required_text, text_field
from tp_core.errors import DataError, TPError
from tp_core.inference.batches import inference_batches
from tp_core.inference.load import LoadedModel, load_model
from tp_core.inference.mode import evaluating
from tp_core.inference.predict import as_records
from tp_core.inference.vectors import absent_stream, batch_vectors
from tp_core.interfaces import Record
from tp_core.spec.schema import Spec
from tp_core.spec.schema_embed import EmbedOptions
from tp_core.spec.vectors import vector_plan

#: Fields of records that a prompt stands before: of a pair, both.
_TEXTS = ("text_a", "text", "text_b")


def embed(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Iterable[Any],
    pooling: str | None = None,
    batch_size: int = 32,
    device: str = "auto",
    stream: str | None = None,
    projection: bool | None = None,
    normalize: bool | None = None,
    prompt: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> NDArray[np.float32]:
    """One vector per record, made of the encoder's last states over the record's real positions.

    What is None here is as the spec's ``inference.embed`` says, and what is unset there, as the model's targets were
    trained: CLIP's vectors are projected and of length 1 (:func:`tp_core.spec.vectors.vector_plan`).

    Args:
        model: a loaded model, or its folder.
        inputs: texts, dictionaries of fields, or records.
        pooling: ``mean``, ``first``, ``max`` or ``last``.
        stream: of a model with named streams, which one.
        projection: whether vectors are projected to the space in which a target compares them.
        normalize: whether vectors are brought to length 1.
        prompt: name of the prompt that is put before each text; empty for none.
        say: told in a sentence how the vectors are made.

    Returns:
        (records, size), float32, in order. The size is that of the encoder's states, or of the projection.

    Raises:
        TPError: the model has no processor, or there is no such pooling, stream, projection or prompt.
        DataError: a record has nothing for the stream, or no text to put a prompt before.
    """
    loaded = model if isinstance(model, LoadedModel) else load_model(model, device)
    if loaded.processor is None:
        raise TPError("embedding needs a model with a processor; this one's spec has none")
    given = {"pooling": pooling, "stream": stream, "projection": projection, "normalize": normalize, "prompt": prompt}
    options = _own_options(loaded.spec).for_call(given)
    plan = vector_plan(loaded.spec, options)
    prefix = options.prefix()
    say(plan.describe() + (f", with '{prefix}' before each text" if prefix else ""))
    records = _prompted(as_records(inputs), prefix)
    parts: list[NDArray[np.float32]] = []
    for chunk, groups, batches in inference_batches(records, loaded.processor, batch_size, loaded.device):
        part: NDArray[np.float32] | None = None
        for group, batch in zip(groups, batches):
            if absent := absent_stream(loaded.model, batch, plan):
                record, there = chunk[group[0]], ", ".join(batch.source)
                hint = " (--stream)" if loaded.model.fusion is None else ", and one encoder reads both"
                message = f"the record has nothing for the stream '{absent}', only for {there}{hint}"
                raise DataError(message, file=record.file, line=record.line)
            with evaluating(loaded.model):
                made = batch_vectors(loaded.model, batch, plan).cpu().numpy()
            if part is None:
                part = np.empty((len(chunk), made.shape[1]), dtype=np.float32)
            part[group] = made
        if part is not None:
            parts.append(part)
    return np.concatenate(parts) if parts else np.empty((0, plan.size(loaded.spec)), np.float32)


def _own_options(spec: Spec) -> EmbedOptions:
    """The spec's options, as one of its data sets can follow them, which may lack the stream."""
    own = spec.inference.embed
    return own if own.stream in spec.model.streams else own.model_copy(update={"stream": None})


def _prompted(records: Iterable[Record], prefix: str) -> Iterator[Record]:
    """Records with a prompt before their text.

    Raises:
        DataError: a record has no text.
    """
    for record in records:
        if prefix:
            required_text(record, *_TEXTS)
            texts = {name: text for name in _TEXTS if (text := text_field(record, name)) is not None}
            record = replace(record, value={**record.value, **{name: prefix + text for name, text in texts.items()}})
        yield record
