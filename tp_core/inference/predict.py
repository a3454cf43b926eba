"""``predict`` computes a trained model's predictions for new records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.data.sources.options import MEDIA
from tp_core.errors import DataError, TPError
from tp_core.evaluation.mode import evaluating
from tp_core.inference.batches import Division, Unusable, answers
from tp_core.interfaces import Batch, Record
from tp_core.model import MissingStreamError
from tp_core.processes.shared import ALONE, Processes

#: Inputs of a call: one text, dictionary of fields or record, or several of them.
Inputs = Iterable[Any] | Record

#: Types of a single input; the items of any other value are inputs.
_ONE = (str, Mapping, Record)


def as_records(inputs: Any) -> Iterator[Record]:
    """Convert texts, dictionaries or records to records. A single one becomes one record.

    Raises:
        TPError: the value is neither an input nor an iterable.
        DataError: an item has another type.
    """
    if isinstance(inputs, bytes) or not isinstance(inputs, (*_ONE, Iterable)):
        raise TPError(f"expected texts, dictionaries or records, or one of these, got {type(inputs).__name__}")
    return _as_records([inputs] if isinstance(inputs, _ONE) else inputs)


def _as_records(inputs: Iterable[Any]) -> Iterator[Record]:
    for number, value in enumerate(inputs, 1):
        if isinstance(value, Record):
            yield value
        elif isinstance(value, (str, Mapping)):
            if wrong := [name for name in value if not isinstance(name, str)]:
                raise DataError(f"the names of fields are texts, got {wrong[0]!r}", file="input", line=number)
            yield Record({"text": value} if isinstance(value, str) else dict(value), "input", number)
        else:
            message = f"expected a text, a dictionary of fields or a record, got {type(value).__name__}"
            raise DataError(message, file="input", line=number)


def _named(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """A prediction with the file name of its image or recording, if that is a separate file."""
    own = {name: path for name in MEDIA if (path := record.value.get(name)) == os.path.abspath(record.file)}
    return {**own, **prediction}


def skips(loaded: LoadedModel) -> bool:
    """True if the model's spec skips records that cannot be used."""
    return loaded.spec.data.options.on_bad_record == "skip"


def predict(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Inputs,
    batch_size: int = 32,
    device: str = "auto",
    processes: Processes = ALONE,
    trust_code: bool = False,
    done: Callable[[int], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """Predictions, one dictionary per input, in order; with the file's path if an image or recording is its own file.

    With the spec's ``data.on_bad_record: skip``, an unusable input gets a dictionary with an ``error``.

    Args:
        model: a loaded model, or its folder.
        inputs: texts, dictionaries of fields, or records; or one of these.
        processes: share the inputs (:func:`tp_core.processes.shared.shared`); the first gets all predictions, the
            others none. Without it, each process predicts for all of its inputs.
        trust_code: run the Python files of the model's folder, where its modules are in such files.
        done: told of inputs that are done, how many they are, as batches are computed.

    Raises:
        TPError: the model has no target or processor, or the inputs lack a stream that a target reads.
        DataError: an input cannot be used.
    """
    loaded = loaded_model(model, device, processes, trust_code)
    if loaded.processor is None or not len(loaded.model.targets):
        raise TPError("prediction needs a model with a target and a processor; this one's spec has none")
    processor = loaded.processor

    def compute(batch: Batch, numbers: list[int], records: list[Record]) -> list[dict[str, Any]]:
        with evaluating(loaded.model):
            try:
                found = loaded.model.predict(batch)
            except MissingStreamError as error:
                first, fields = records[0], ", ".join(records[0].value)
                message = f"{error}; the fields are {fields}"
                raise DataError(message, file=first.file, line=first.line) from None
            return processor.describe(found)

    made = answers(
        as_records(inputs),
        loaded.feed,
        batch_size,
        loaded.device,
        compute,
        skip=skips(loaded),
        processes=processes,
        done=done,
        division=Division(processor.divide, processor.combine),
    )
    for records, found in made:
        for record, answer in zip(records, found):
            yield _named(record, {"error": answer.error} if isinstance(answer, Unusable) else answer)
