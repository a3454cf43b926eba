"""``embed`` computes one vector per record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.data.fields import required_text, text_field
from tp_core.errors import DataError, TPError
from tp_core.evaluation.mode import evaluating
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.predict import Inputs, as_records
from tp_core.inference.vectors import absent_stream, batch_vectors
from tp_core.interfaces import Batch, Record, Sample
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.trained.vectors import vector_plan

#: Fields that get a prompt prepended; for a pair, both fields.
_TEXTS = ("text_a", "text", "text_b")


def embed(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Inputs,
    pooling: str | None = None,
    batch_size: int = 32,
    device: str = "auto",
    stream: str | None = None,
    projection: bool | None = None,
    normalize: bool | None = None,
    prompt: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    processes: Processes = ALONE,
    trust_code: bool = False,
    done: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float32]:
    """One vector per record, pooled from the encoder's last states over the record's non-padding positions.

    Arguments that are None default to the spec's ``inference.embed``. Options unset there follow the training of the
    model's targets: CLIP's vectors are projected and have length 1 (:func:`tp_core.spec.trained.vectors.vector_plan`).

    Args:
        model: a loaded model, or its folder.
        inputs: one text, dictionary of fields or record, or several of them.
        pooling: ``mean``, ``first``, ``max`` or ``last``.
        stream: of a model with named streams, which one.
        projection: whether vectors are projected to the space in which a target compares them.
        normalize: whether vectors are brought to length 1.
        prompt: name of the prompt that is put before each text; empty for none.
        say: told in a sentence how the vectors are made.
        processes: share the inputs (:func:`tp_core.processes.shared.shared`); the first gets all vectors, the
            others none. Without it, each process embeds all of its inputs.
        trust_code: run the Python files of the model's folder, where its modules are in such files.
        done: told of inputs that are done, how many they are, as batches are computed.

    Returns:
        Array of shape (records, size), float32, in order. The size is that of the encoder's states or of the
        projection.

    Raises:
        TPError: the model has no processor, or the pooling, stream, projection or prompt does not exist.
        DataError: a record has no input for the stream, or no text to prepend a prompt to.
    """
    loaded = loaded_model(model, device, processes, trust_code)
    given = {"pooling": pooling, "stream": stream, "projection": projection, "normalize": normalize, "prompt": prompt}
    embedder = Embedder(loaded, given, say)
    parts = [vectors for _, vectors in embedder(as_records(inputs), batch_size, processes, done)]
    return np.concatenate(parts) if parts else np.empty((0, embedder.size), np.float32)


class Embedder:
    """Computes vectors in chunks with a loaded model; the implementation of :func:`embed`.

    Args:
        given: options of ``inference.embed``; values other than None override the spec's.
        say: called with a sentence that describes how the vectors are made.

    Attributes:
        size: number of values per vector.

    Raises:
        TPError: the model has no processor, or the pooling, stream, projection or prompt does not exist.
    """

    def __init__(self, loaded: LoadedModel, given: dict[str, Any], say: Callable[[str], None] = lambda _: None) -> None:
        if loaded.processor is None:
            raise TPError("embedding needs a model with a processor; this one's spec has none")
        self._loaded, self._processor = loaded, loaded.processor
        chosen = loaded.spec.data.processor
        if chosen is not None and chosen.config.several_sequences:
            raise TPError(
                f"a record of the processor '{chosen.name}' is several sequences, so it has no single vector; embed "
                "texts with the model that this one was trained from (init_from)"
            )
        options = _own_options(loaded.spec).for_call(given)
        self._plan, self._prefix = vector_plan(loaded.spec, options), options.prefix()
        self.size: int = self._plan.size(loaded.spec)
        say(self._plan.describe() + (f", with '{self._prefix}' before each text" if self._prefix else ""))

    def __call__(
        self,
        records: Iterable[Record],
        batch_size: int = 32,
        processes: Processes = ALONE,
        done: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[list[Record], NDArray[np.float32]]]:
        """Chunks of records with their vectors, (records of the chunk, size), in order; all on the first process.

        Raises:
            DataError: a record has no input for the stream, or no text to prepend a prompt to.
        """
        device, encode = self._loaded.device, self._encode
        compute = self._vectors
        made = answers(records, self._loaded.feed, batch_size, device, compute, encode, processes=processes, done=done)
        for chunk, found in made:
            yield chunk, np.stack([each for each in found if not isinstance(each, Unusable)])

    def _encode(self, records: list[Record]) -> list[Sample]:
        return self._processor.encode([_prompted(record, self._prefix) for record in records])

    def _vectors(self, batch: Batch, numbers: list[int], records: list[Record]) -> Sequence[NDArray[np.float32]]:
        model = self._loaded.model
        if absent := absent_stream(model, batch, self._plan):
            there = ", ".join(batch.source)
            hint = " (--stream)" if model.fusion is None else ", and one encoder reads both"
            message = f"the record has nothing for the stream '{absent}', only for {there}{hint}"
            raise DataError(message, file=records[0].file, line=records[0].line)
        with evaluating(model):
            made: NDArray[np.float32] = batch_vectors(model, batch, self._plan).cpu().numpy()
        return list(made)


def _own_options(spec: Spec) -> EmbedOptions:
    """The spec's options, reduced to those that apply to one of its data sets, which may lack the stream."""
    own = spec.inference.embed
    return own if own.stream in spec.model.streams else own.model_copy(update={"stream": None})


def _prompted(record: Record, prefix: str) -> Record:
    """A record with a prompt prepended to its text.

    Raises:
        DataError: the record has no text.
    """
    if not prefix:
        return record
    required_text(record, *_TEXTS)
    texts = {name: text for name in _TEXTS if (text := text_field(record, name)) is not None}
    return replace(record, value={**record.value, **{name: prefix + text for name, text in texts.items()}})
