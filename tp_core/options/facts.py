"""Values that describe tensors, streams and heads to checks, pricing and builders. Torch-free."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from tp_core.options.marks import ModelSize

T = TypeVar("T")

Pooling = Literal["first", "last", "mean", "max"]

#: What modules publish about themselves, by type: their options, and the values of ``ModuleConfig.published_facts``.
Facts = Mapping[type[Any], Any]


def published_by(configs: Iterable[Any]) -> Facts:
    """The facts that modules publish, by type. Where several publish one type, the first of them counts."""
    found: dict[type[Any], Any] = {}
    for config in configs:
        for fact in (config, *config.published_facts()):
            found.setdefault(type(fact), fact)
    return found


def fact_in(facts: Facts, kind: type[T]) -> T | None:
    """The fact of a type, or of a type derived from it; None if there is none."""
    return facts[kind] if kind in facts else next((each for each in facts.values() if isinstance(each, kind)), None)


class Usual(int):
    """A size that the batch decides: an example of it, with which costs are measured."""


class FieldSpec(NamedTuple):
    """The shape of a tensor that passes between components, for checks, pricing and random test input.

    Attributes:
        shape: sizes, each an integer, :class:`Usual` where the batch may have any, or one of the symbols ``"batch"``
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
    """The tensors of a batch, by the parts of it that they stand in.

    Attributes:
        source: of each stream; the empty name is that of the only one.
        target: of the decoder's side.
        labels: of each target, by its own name.
    """

    source: Mapping[str, Mapping[str, FieldSpec]]
    target: Mapping[str, FieldSpec]
    labels: Mapping[str, Mapping[str, FieldSpec]]

    @property
    def sides(self) -> Mapping[tuple[str, str], Mapping[str, FieldSpec]]:
        """The inputs of every side: ``("source", stream)`` and ``("target", "")``."""
        source: dict[tuple[str, str], Mapping[str, FieldSpec]]
        source = {("source", stream): fields for stream, fields in self.source.items()}
        return source | ({("target", ""): self.target} if self.target else {})


class StreamFacts(NamedTuple):
    """The facts of a stream that targets may know.

    Attributes:
        hidden_size: width of the stream's final states.
        pooling: how the stream's sequence becomes one vector where the target does not say.
    """

    hidden_size: int
    pooling: Pooling = "first"


class ClassFacts(NamedTuple):
    """The classes that a target tells apart.

    Attributes:
        number: of classes.
    """

    number: int


class VectorFacts(NamedTuple):
    """The way in which a target makes one vector of each sample of a stream.

    Attributes:
        pooling: how the stream's states become one; None: in the target's own way (``Target.pool``).
        projection_size: width that the target projects this to (``Target.project``); None without a projection.
        normalize: the vector is brought to length 1.
        compared: the target compares such vectors with each other, so that their distances mean something.
    """

    pooling: Pooling | None
    projection_size: ModelSize[int | None] = None
    normalize: bool = False
    compared: bool = False


class HeadFacts(NamedTuple):
    """The heads of an attention.

    Attributes:
        number: of query heads.
        groups: number of key and value heads.
        size: width of a head.
        two_way: positions see later ones, too.
        scale: factor of the scores; None: 1/sqrt(size).
    """

    number: int
    groups: int
    size: int
    two_way: bool = True
    scale: float | None = None
