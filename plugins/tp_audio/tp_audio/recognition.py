"""Recognition of the texts of recordings with a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tp_audio.ctc_search import search
from tp_audio.targets.ctc import CTC
from tp_core.artifacts.load import LoadedModel
from tp_core.errors import TPError
from tp_core.evaluation.mode import evaluating
from tp_core.inference.batches import Unusable, answers
from tp_core.inference.generate import generate
from tp_core.inference.predict import predict, skips
from tp_core.interfaces import Batch, Record
from tp_core.processes.shared import ALONE, Processes

#: Maximum number of generated tokens if neither the call nor the spec limits it.
USUAL_LENGTH = 256


def recognised(
    model: LoadedModel,
    records: Iterable[Record],
    batch_size: int = 32,
    beams: int | None = None,
    max_new_tokens: int | None = None,
    processes: Processes = ALONE,
) -> list[dict[str, Any]]:
    """The ``text`` of each recording, from the decoder or from the target ``ctc``.

    If the model's spec skips bad records, recordings that cannot be read have an ``error`` instead.

    Args:
        model: the trained model.
        records: the recordings.
        batch_size: recordings per batch.
        beams: number of beams; 1 is greedy. None: the value in the spec's ``inference.generate``.
        max_new_tokens: maximum number of tokens that a decoder generates. None: the spec's value, else 256.
        processes: processes that share the work. The first process gets all texts, the others get none.

    Raises:
        TPError: the model has neither a decoder nor the target ``ctc``.
        DataError: a recording cannot be read.
    """
    usual = model.spec.inference.generate
    if model.model.decoder is not None:
        if max_new_tokens is None and usual.max_new_tokens is None and usual.max_length is None:
            max_new_tokens = USUAL_LENGTH
        options = {"beams": beams, "max_new_tokens": max_new_tokens}
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        found = list(generate(model, records, batch_size, processes=processes, **given))
    elif not any(isinstance(target, CTC) for target in model.model.named_targets().values()):
        raise TPError("the model cannot recognise speech: it has neither a decoder nor the target ctc")
    elif (beams or usual.beams) == 1:
        found = [each.get("ctc", each) for each in predict(model, records, batch_size, processes=processes)]
    else:
        found = list(_searched(model, records, batch_size, beams or usual.beams, processes))
    return [{"error": each["error"]} if "error" in each else {"text": each["text"]} for each in found]


def _searched(
    model: LoadedModel, records: Iterable[Record], batch_size: int, beams: int, processes: Processes
) -> Iterator[dict[str, Any]]:
    """Recognise texts by prefix beam search with the target ``ctc``."""
    name, target = next((name, t) for name, t in model.model.named_targets().items() if isinstance(t, CTC))
    processor = model.processor
    if processor is None:
        raise TPError("recognition needs a model with a processor, but the model's spec has none")

    def compute(batch: Batch, numbers: list[int], records: list[Record]) -> list[dict[str, Any]]:
        with evaluating(model.model):
            sequence = model.model.view(model.model.encode(batch), name).sequence
            lengths = sequence.real().sum(dim=1)
            texts = search(target.frame_logits(sequence), lengths, beams, target.blank)
        return processor.describe([{"token_ids": ids} for ids in texts])

    skip = skips(model)
    for _, found in answers(records, model.feed, batch_size, model.device, compute, skip=skip, processes=processes):
        for answer in found:
            yield {"error": answer.error} if isinstance(answer, Unusable) else answer
