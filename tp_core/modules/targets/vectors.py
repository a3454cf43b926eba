"""One vector per sample, as a target makes it of a stream."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Sequence, Target
from tp_core.options.facts import VectorFacts


def vector_of(sequence: Sequence, stream: str, facts: VectorFacts, target: Target | None = None) -> Tensor:
    """Pool a stream's sequence, project it and normalise it, as ``facts`` say.

    Args:
        target: the one that projects, or pools in a way of its own, where ``facts`` ask for either.

    Returns:
        (batch, size), float32.
    """
    if facts.pooling is None:
        assert target is not None
        vector = target.pool(sequence, stream)
    else:
        vector = sequence.pooled(facts.pooling)
    if facts.projection_size is not None:
        assert target is not None
        vector = target.project(vector, stream)
    return F.normalize(vector.float(), dim=-1) if facts.normalize else vector.float()
