"""The interfaces of the parts of a transformer layer: mixers, positions in attention, feed-forward layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from torch import Tensor, nn

from tp_core.interfaces import Module, Sequence
from tp_core.interfaces.kv_cache import CacheEntry, KVCache
from tp_core.interfaces.packing import Packing

if TYPE_CHECKING:
    from tp_core.options.context import BuildContext
    from tp_core.options.positions import PositionsConfig


class StackPass:
    """One forward pass of a stack of layers.

    It holds the values that mixers may read, and the values that mixers with equal options compute only once.

    Attributes:
        sequence: the input of the first layer, with states (batch, length, hidden).
        kv_cache: the cache, or None. It already includes the mask and the position numbers of the current positions.
        positions: position numbers of the sequence, (batch or 1, length).
        key_positions: position numbers of all keys, those of earlier positions in the cache included.
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
        """The result of ``make``, which is called once per key in a forward pass."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def shared(self, key: Any) -> Any:
        """The result of the shared part with this key (:meth:`Mixer.shared_parts`); None if there is no such part."""
        found = next((number for number, (known, _) in enumerate(self._shared) if known == key), None)
        return None if found is None else self.once(("shared", found), lambda: self._shared[found][1](self))


class Mixer(Module, ABC):
    """The part of a transformer layer that exchanges information between positions, such as attention.

    Args:
        config: the options.
        context: ``hidden_size`` is the width of the states.
    """

    #: The projection whose result is added to the states, if the mixer has one. Its initial weights may be scaled down
    #: (GPT-2). It is only declared here, because a class attribute with a value would hide the submodule.
    output: Any

    #: True if the layer's dropout applies to the output of the mixer, as it does to that of the other sub-layers.
    drops: ClassVar[bool] = True

    #: True if the states of a row depend on its padding, so that rows must not be cut to their lengths.
    reads_padding: bool = False

    def shared_parts(self) -> Iterable[tuple[Any, Callable[[], nn.Module]]]:
        """Modules that mixers of several layers share, as pairs (key, function that builds the module).

        Mixers with equal keys share one module. Its ``forward`` takes a :class:`StackPass`.
        """
        return ()

    def prepare(self, run: StackPass) -> Any:
        """The values that :meth:`forward` needs; called once for all layers with equal options.

        It is called before the first layer, and ``activation_checkpointing`` does not repeat the call.
        """
        return None

    @abstractmethod
    def forward(
        self, states: Tensor, prepared: Any, carried: Tensor | None = None, kv_cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """States (batch, length, hidden) → new states of the same shape, and a tensor for the next layer's mixer.

        Args:
            states: (batch, length, hidden).
            prepared: the result of :meth:`prepare`.
            carried: the second result of the previous layer's mixer, such as its scores (RealFormer).
            kv_cache: this layer's tensors of earlier positions.

        Returns:
            The new states, and the ``carried`` of the next layer's mixer, or None.
        """

    def forward_at(
        self, states: Tensor, positions: Tensor, prepared: Any, carried: Tensor | None = None
    ) -> Tensor | None:
        """The new states at some positions, (batch, number, hidden), in the last layer of a stack.

        It is for mixers that compute some positions faster than all. By default it returns None; the layer then calls
        :meth:`forward`.

        Args:
            states: (batch, length, hidden), those of all positions.
            positions: (batch, number) int64.
            prepared: as in :meth:`forward`.
            carried: as in :meth:`forward`.
        """
        return None

    def forward_packed(self, states: Tensor, packing: Packing, prepared: list[Any]) -> Tensor | None:
        """The new states of a batch without its padding, (1, number of positions, hidden).

        It is for mixers that compute something for each position separately, such as the projections of attention. By
        default it returns None; the layer then calls :meth:`forward` for each part of the batch.

        Args:
            states: (1, number of positions, hidden), the real positions of all rows.
            packing: turns them into states (rows, length, hidden) of each part of the batch, and back.
            prepared: the results of :meth:`prepare`, one for each part.
        """
        return None


class FeedForward(Module, ABC):
    """The part of a transformer layer that maps each position separately.

    Args:
        config: the options.
        context: ``hidden_size`` is the width of the states.
    """

    #: The projection whose result is added to the states, as in :class:`Mixer`.
    output: Any

    @abstractmethod
    def forward(self, states: Tensor) -> Tensor:
        """(..., hidden) → the same shape."""


class PositionValues(NamedTuple):
    """Values computed from the positions and shared by layers with equal options.

    Attributes:
        values: the argument ``values`` of :meth:`Positions.rotate` and :meth:`Positions.bias`.
        bias: (batch or 1, heads, queries, keys), added to the scores of every layer; or None.
    """

    values: Any = None
    bias: Tensor | None = None


class PositionTable(Module, ABC):
    """The position values, fixed or learned, that layers with equal options and equal heads share."""

    @abstractmethod
    def forward(self, run: StackPass) -> PositionValues:
        """The position values of one forward pass."""


class Positions(Module):
    """The use of positions in the attention of one layer.

    The base class changes nothing by itself: only the bias of the table is added to the scores.

    Args:
        config: the options.
        context: its ``HeadFacts`` describe the heads of the attention.
    """

    def __init__(self, config: PositionsConfig, context: BuildContext) -> None:
        super().__init__()

    def any_heads(self) -> bool:
        """True if the methods treat all heads alike, so that processes may divide the heads among them.

        Biases of the table are divided, too. By default, this is so if the methods do nothing.
        """
        return type(self).rotate is Positions.rotate and type(self).bias is Positions.bias

    def rotate(self, queries: Tensor, keys: Tensor, values: Any) -> tuple[Tensor, Tensor]:
        """Rotate queries (batch, heads, length, size) and keys (batch, groups, length, size); shapes stay the same."""
        return queries, keys

    def bias(self, states: Tensor, queries: Tensor, values: Any) -> Tensor | None:
        """The bias that this layer adds to the scores, (batch or 1, heads, queries, keys).

        Args:
            states: (batch, length, hidden), the states from which the queries are computed.
            queries: (batch, heads, length, size), before the rotation.
            values: ``PositionValues.values`` of the table; None without a table.
        """
        return None
