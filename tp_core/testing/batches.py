"""Random batches for a model, made from the fields that its modules declare."""

from __future__ import annotations

from collections.abc import Sequence as Items

from tp_core.cost import invented_batches
from tp_core.interfaces import Batch
from tp_core.model import Model


def random_batch(model: Model, lengths: Items[int], seed: int = 0) -> Batch:
    """One sample per length, with labels: :func:`tp_core.cost.invented_batches.invented_batch`."""
    return invented_batches.invented_batch(model.fields(), lengths, seed)


def single_batches(model: Model, lengths: Items[int], seed: int = 0) -> list[Batch]:
    """The samples of :func:`random_batch` one by one, without their padding."""
    return invented_batches.single_batches(model.fields(), lengths, seed)


def has_padded_side(model: Model) -> bool:
    """True if a side of the model's inputs has a length dimension, which can be padded."""
    return any("length" in spec.shape for fields in model.fields().sides.values() for spec in fields.values())


def sequence_count(batch: Batch) -> int:
    """Number of sequences on each side of a batch: one per sample, or those that its samples have together."""
    return batch.size if batch.sequences is None else int((batch.sequences >= 0).sum())
