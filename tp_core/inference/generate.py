"""``generate`` writes texts with a trained model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from tp_core.artifacts.load import LoadedModel, loaded_model
from tp_core.errors import TPError
from tp_core.evaluation.mode import evaluating
from tp_core.generation.room import text_limit
from tp_core.generation.writer import TextWriter
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.predict import Inputs, as_records, skips
from tp_core.interfaces import Batch, PromptRoom, Record, Sample
from tp_core.processes.shared import ALONE, Processes
from tp_core.spec.trained.generate_call import for_call


def generate(
    model: LoadedModel | str | os.PathLike[str],
    inputs: Inputs,
    batch_size: int = 32,
    device: str = "auto",
    processes: Processes = ALONE,
    trust_code: bool = False,
    done: Callable[[int], None] = lambda _: None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Write a text for each input: its continuation (causal models) or its counterpart (encoder-decoder models).

    Args:
        model: a loaded model, or its folder.
        inputs: texts, dictionaries of fields, or records; or one of these.
        processes: share the inputs (:func:`tp_core.processes.shared.shared`); the first gets all texts, the others
            none. Without it, each process writes for all of its inputs.
        trust_code: run the Python files of the model's folder, where its modules are in such files.
        done: told of inputs that are done, how many they are, as batches are computed.
        options: of :class:`~tp_core.spec.sections.generate.GenerateOptions`; the others are as the spec's
            ``inference.generate`` says.

    Yields:
        One dictionary per input, in order: ``text``, and ``finished``, which is False if the text was cut at its
        maximum length. If the input was too long, ``truncated`` is the number of tokens that were cut from it. With the
        spec's ``data.on_bad_record: skip``, an unusable input has an empty text and an ``error``.

    Raises:
        TPError: the model cannot generate, or the options contradict each other.
        DataError: a record has no text, or leaves no room for new tokens.
    """
    loaded = loaded_model(model, device, processes, trust_code)
    if loaded.processor is None:
        raise TPError("generation needs a model with a processor; this one's spec has none")
    chosen = for_call(loaded.spec.inference.generate, options)
    writer = TextWriter(loaded.model, loaded.spec, loaded.processor, chosen)
    return _texts(loaded, writer, writer.room(), inputs, batch_size, processes, done)


def _texts(
    loaded: LoadedModel,
    writer: TextWriter,
    room: PromptRoom,
    inputs: Inputs,
    batch_size: int,
    processes: Processes,
    done: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    lost: dict[int, int] = {}  # ids of deleted records are reused, so this stays small

    def compute(batch: Batch, numbers: list[int], records: list[Record]) -> list[dict[str, Any]]:
        with evaluating(loaded.model):
            texts = writer(batch, numbers, records)
        found = []
        for record, text, written in zip(records, texts, writer.decoded(texts, batch), strict=True):
            found.append({"text": written, "finished": text.finished})
            if cut := lost.get(id(record)):
                found[-1]["truncated"] = cut
        return found

    made = answers(
        as_records(inputs),
        loaded.feed,
        batch_size,
        loaded.device,
        compute,
        _prompts(writer, room, lost),
        skips(loaded),
        processes,
        done,
    )
    for _, found in made:
        for answer in found:
            if isinstance(answer, Unusable):
                yield {"text": "", "finished": True, "error": answer.error}
            else:
                yield answer


def _prompts(writer: TextWriter, room: PromptRoom, lost: dict[int, int]) -> Callable[[list[Record]], list[Sample]]:
    """The function that makes prompts of records.

    Args:
        lost: filled with the number of tokens cut from each prompt, by the identity of its record.
    """

    def encode(records: list[Record]) -> list[Sample]:
        samples = writer.processor.prompts(records, room)
        for record, sample in zip(records, samples):
            if writer.causal and "input_ids" in sample:
                text_limit(writer.options, len(sample["input_ids"]), writer.positions, record)
            lost[id(record)] = sample.pop("truncated", 0)
        return samples

    return encode
