"""Vectors of batches, made according to a plan."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from tp_core.interfaces import Batch
from tp_core.model import Model
from tp_core.modules.targets.vectors import vector_of
from tp_core.spec.trained.vectors import VectorPlan


def absent_stream(model: Model, batch: Batch, plan: VectorPlan) -> str:
    """A stream that the plan needs and the batch lacks; empty if nothing is missing."""
    needed = list(model.spec.model.streams) if model.fusion is not None else [plan.stream]
    return next((name for name in needed if name and name not in batch.source), "")


def batch_vectors(model: Model, batch: Batch, plan: VectorPlan) -> Tensor:
    """One vector per sample of a batch, (batch, size), float32.

    Other streams are computed only if an encoder reads all streams together.

    Args:
        batch: batch with the streams that the plan needs (:func:`absent_stream`).
    """
    if plan.stream and model.fusion is None:
        batch = replace(batch, source={plan.stream: batch.source[plan.stream]})
    features = model.encode_source(batch)
    sequence = features.streams[plan.stream] if plan.stream else features.sequence
    target = model.named_targets()[plan.target] if plan.target else None
    return vector_of(sequence, plan.stream, plan.facts, target)
