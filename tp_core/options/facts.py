"""Values that describe tensors, streams and heads to checks, pricing and builders. Torch-free."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

from tp_core.options.marks import ModelSize

T = TypeVar("T")

Pooling = Literal["first", "last", "mean", "max"]

#: The function by which two vectors are compared. Of the two distances, the smaller is the more similar.
Comparison = Literal["cosine", "dot", "euclidean", "manhattan"]

#: Facts that modules publish, by type: their options, and the values of ``ModuleConfig.published_facts``.
Facts = Mapping[type[Any], Any]


def published_by(configs: Iterable[Any]) -> Facts:
    """The facts that modules publish, by type. If several modules publish the same type, the first one counts."""
    found: dict[type[Any], Any] = {}
    for config in configs:
        for fact in (config, *config.published_facts()):
            found.setdefault(type(fact), fact)
    return found


def fact_in(facts: Facts, kind: type[T]) -> T | None:
    """The fact of this type or of a subclass; None if there is none."""
    return facts[kind] if kind in facts else next((each for each in facts.values() if isinstance(each, kind)), None)


class Usual(int):
    """A typical value of a size that depends on the batch; costs are measured with it."""


class FieldSpec(NamedTuple):
    """The shape of a tensor passed between components; used for checks, cost estimates and random test input.

    Attributes:
        shape: sizes; each is an integer, a :class:`Usual` if it depends on the batch, or one of the symbols ``"batch"``
            and ``"length"``.
        dtype: ``"int64"``, ``"float32"`` or ``"bool"``.
        high: for integers, the values are in ``[0, high)``; None where it is not known.
        fraction: of labels per position, the share of positions that have a label.
        option: the module's option that sets ``high``, for messages.
    """

    shape: tuple[int | str, ...] = ("batch", "length")
    dtype: str = "int64"
    high: int | None = None
    fraction: float = 1.0
    option: str = ""


class BatchFields(NamedTuple):
    """The tensors of a batch, grouped by its parts.

    Attributes:
        source: fields of each stream; the name is empty for the only stream of a model without named streams.
        target: fields of the decoder's side.
        labels: label tensors of each target, by the target's own name.
        sequences: usual number of sequences of a sample, for each target; 1 for a target that is not listed.
    """

    source: Mapping[str, Mapping[str, FieldSpec]]
    target: Mapping[str, FieldSpec]
    labels: Mapping[str, Mapping[str, FieldSpec]]
    sequences: Mapping[str, int] = MappingProxyType({})

    @property
    def sides(self) -> Mapping[tuple[str, str], Mapping[str, FieldSpec]]:
        """The inputs of every side: ``("source", stream)`` and ``("target", "")``."""
        source: dict[tuple[str, str], Mapping[str, FieldSpec]]
        source = {("source", stream): fields for stream, fields in self.source.items()}
        return source | ({("target", ""): self.target} if self.target else {})


class StreamFacts(NamedTuple):
    """Facts about a stream, for targets.

    Attributes:
        hidden_size: width of the stream's final states.
        pooling: default way to reduce the stream's sequence to one vector.
    """

    hidden_size: int
    pooling: Pooling = "first"


class ClassFacts(NamedTuple):
    """The classes of a classification target.

    Attributes:
        number: number of classes.
    """

    number: int


class SimilarityFacts(NamedTuple):
    """The values that a target can give as the similarity of two samples.

    Attributes:
        low: the lowest value, or minus infinity.
        high: the highest value, or infinity.
        name: name of the similarity, for messages.
    """

    low: float
    high: float
    name: str


class OutputFacts(NamedTuple):
    """The numbers that a regression target predicts for each sample.

    Attributes:
        number: how many there are.
    """

    number: int


class VectorFacts(NamedTuple):
    """The method by which a target makes one vector per sample of a stream.

    Attributes:
        pooling: how the stream's states become one vector; None: the target's own method (``Target.pool``).
        projection_size: width after the target's projection (``Target.project``); None without a projection.
        normalize: True if the vector is scaled to length 1.
        compared: the function by which the target compares such vectors with each other; None if it does not, so that
            it does not train their distances.
    """

    pooling: Pooling | None
    projection_size: ModelSize[int | None] = None
    normalize: bool = False
    compared: Comparison | None = None


class HeadFacts(NamedTuple):
    """The heads of an attention layer.

    Attributes:
        number: number of query heads.
        groups: number of key and value heads.
        size: width of a head.
        two_way: True if positions also see later positions.
        scale: factor of the scores; None: 1/sqrt(size).
    """

    number: int
    groups: int
    size: int
    two_way: bool = True
    scale: float | None = None
