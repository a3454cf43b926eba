"""Batches → vectors, by a plan of how they are made."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from tp_core.interfaces import Batch
from tp_core.model import Model
from tp_core.modules.targets.vectors import vector_of
from tp_core.spec.trained.vectors import VectorPlan


def absent_stream(model: Model, batch: Batch, plan: VectorPlan) -> str:
    """A stream that the vectors are made of and the batch does not have; empty if it has what they need."""
    needed = list(model.spec.model.streams) if model.fusion is not None else [plan.stream]
    return next((name for name in needed if name and name not in batch.source), "")


def batch_vectors(model: Model, batch: Batch, plan: VectorPlan) -> Tensor:
    """One vector per sample of a batch, (batch, size), float32.

    Of a model with streams, the others are computed only if an encoder reads all of them together.

    Args:
        batch: one that has the streams that the vectors are made of (:func:`absent_stream`).
    """
    if plan.stream and model.fusion is None:
        batch = replace(batch, source={plan.stream: batch.source[plan.stream]})
    features = model.encode_source(batch)
    sequence = features.streams[plan.stream] if plan.stream else features.sequence
    target = model.named_targets()[plan.target] if plan.target else None
    return vector_of(sequence, plan.stream, plan.facts, target)
