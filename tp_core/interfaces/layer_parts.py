"""The interfaces of the parts of a transformer layer: mixers, positions of attention, feed-forward layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from tp_core.interfaces import Module, Sequence
from tp_core.interfaces.kv_cache import CacheEntry, KVCache
from tp_core.options.context import BuildContext
from tp_core.options.positions import PositionsConfig


class StackPass:
    """One forward pass of a stack: what its mixers may read, and what those with equal options compute once.

    Attributes:
        sequence: states (batch, length, hidden) as they enter the first layer.
        kv_cache: of the positions before those of the sequence, the present ones added already; or None.
        positions: (batch or 1, length), of the sequence.
        key_positions: the same, with those before.
    """

    def __init__(
        self, sequence: Sequence, kv_cache: KVCache | None = None, shared: Iterable[tuple[Any, nn.Module]] = ()
    ) -> None:
        self.sequence, self.kv_cache = sequence, kv_cache
        self.positions = sequence.places()
        cached = None if kv_cache is None else kv_cache.positions
        self.key_positions = self.positions if cached is None else cached
        self._shared = list(shared)
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value that ``make`` gives; it is called once in a pass for each key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def shared(self, key: Any) -> Any:
        """The result of the shared part of a key (:meth:`Mixer.shared_parts`); None where there is none."""
        found = next((number for number, (known, _) in enumerate(self._shared) if known == key), None)
        return None if found is None else self.once(("shared", found), lambda: self._shared[found][1](self))


class Mixer(Module, ABC):
    """The part of a transformer layer that brings the positions of a sequence together.

    Args:
        config: the options.
        context: ``hidden_size`` is the width of the states.
    """

    #: The projection whose result is added to the states, where there is one; its first weights may be drawn smaller
    #: (GPT-2). It has no value here, as a value of the class would hide the module.
    output: Any

    #: Dropout of the layer acts on what it gives, as on what the other sub-layers give.
    drops: ClassVar[bool] = True

    def shared_parts(self) -> Iterable[tuple[Any, Callable[[], nn.Module]]]:
        """Parts that mixers with equal keys have in common, as (key, what makes it): ``forward`` takes a StackPass."""
        return ()

    def prepare(self, run: StackPass) -> Any:
        """The values that :meth:`forward` needs; called once for all layers with equal options.

        It is called before the first layer, outside of what is computed again for ``activation_checkpointing``.
        """
        return None

    @abstractmethod
    def forward(
        self, states: Tensor, prepared: Any, carried: Tensor | None = None, kv_cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """States (batch, length, hidden) → the same shape, and what the next layer's mixer gets as ``carried``.

        Args:
            prepared: what :meth:`prepare` gave.
            carried: of the layer before, such as its scores (RealFormer).
            kv_cache: of the positions before, for this layer alone.
        """


class FeedForward(Module, ABC):
    """The part of a transformer layer that changes each position alone.

    Args:
        config: the options.
        context: ``hidden_size`` is the width of the states.
    """

    #: As of :class:`Mixer`.
    output: Any

    @abstractmethod
    def forward(self, states: Tensor) -> Tensor:
        """(..., hidden) → the same shape."""


class PositionValues(NamedTuple):
    """The values of positions that layers with equal options have in common.

    Attributes:
        values: what :meth:`Positions.rotate` and :meth:`Positions.bias` get.
        bias: (batch or 1, heads, queries, keys), added to the scores of every layer; or None.
    """

    values: Any = None
    bias: Tensor | None = None


class PositionTable(Module, ABC):
    """The common part of layers with equal options and equal heads: computed, or learned, once for all of them."""

    @abstractmethod
    def forward(self, run: StackPass) -> PositionValues:
        """The values of a forward pass."""


class Positions(Module):
    """Positions that belong to the attention of one layer; without methods of its own, what the table says.

    Args:
        config: the options.
        context: ``heads`` are those of the attention.
    """

    def __init__(self, config: PositionsConfig, context: BuildContext) -> None:
        super().__init__()

    def rotate(self, queries: Tensor, keys: Tensor, values: Any) -> tuple[Tensor, Tensor]:
        """Queries (batch, heads, length, size) and keys (batch, groups, length, size) → the same shapes."""
        return queries, keys

    def bias(self, states: Tensor, queries: Tensor, values: Any) -> Tensor | None:
        """The bias that this layer adds to the scores, (batch or 1, heads, queries, keys).

        Args:
            states: (batch, length, hidden), which the queries are made of.
            queries: (batch, heads, length, size), before they are rotated.
            values: of the table (:class:`PositionValues`); None without one.
        """
        return None
