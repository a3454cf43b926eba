"""The vectors that a target computes from a stream, one per sample."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Sequence, Target
from tp_core.options.facts import VectorFacts


def position_of(sequence: Sequence, facts: VectorFacts | None) -> Tensor | None:
    """The position that the pooling of a stream reads, (batch, 1); None if it may read all positions."""
    return None if facts is None or facts.pooling is None else sequence.pooled_position(facts.pooling)


def vector_of(sequence: Sequence, stream: str, facts: VectorFacts, target: Target | None = None) -> Tensor:
    """Pool, project and normalise the sequence of a stream, as set by ``facts``.

    Args:
        sequence: the final sequence of the stream.
        stream: name of the stream.
        facts: the pooling, the projection and the normalisation.
        target: the target with the projection or the pooling method; only needed if ``facts`` require one of these.

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
