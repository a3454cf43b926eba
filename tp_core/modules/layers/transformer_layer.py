"""One transformer layer: its parts, each with a residual connection and norms."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from tp_core.interfaces.kv_cache import KVCache
from tp_core.interfaces.layer_parts import FeedForward, Mixer
from tp_core.interfaces.packing import Packing
from tp_core.modules.build import built
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.positions_read import states_at
from tp_core.modules.layers.scale import LayerScale
from tp_core.modules.layers.transformer_options import LayerOptions
from tp_core.modules.mixers.attention import CrossAttention
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.context import BuildContext
from tp_core.packages.plugin_errors import PluginError, wrong_value

#: The cache and the number of the layer.
LayerCache = tuple[KVCache, int] | None

#: The names of a layer's cache entries: for its mixer, and for its attention to a memory.
_ENTRIES = ("layer", "memory")


class Residual(nn.Module):
    """The residual connection and the norms of a sub-layer."""

    def __init__(self, options: LayerOptions, size: int, drops: bool = True) -> None:
        super().__init__()
        where, norm = options.norm_position, options.norm.config
        self.before = nn.Identity() if where == "post" else built(norm, size)
        self.update = built(norm, size) if where == "both" else nn.Identity()
        self.after = built(norm, size) if where == "post" else nn.Identity()
        self.scale = nn.Identity() if options.layer_scale is None else LayerScale(size, options.layer_scale)
        self.dropout, self.drop_path = options.dropout if drops else 0.0, options.drop_path

    def add(self, states: Tensor, update: Tensor, packing: Packing | None = None) -> Tensor:
        """Add the output of the sub-layer to the states; both are (batch, length, hidden), or packed."""
        update = self.scale(self.update(update))
        if self.training:
            update = dropout(update, self.dropout) if self.dropout else update
            if self.drop_path:
                keep = 1 - self.drop_path
                rows = update.shape[0] if packing is None else packing.rows
                kept = torch.empty((rows, 1, 1), device=update.device).bernoulli_(keep)
                kept = kept if packing is None else kept[packing.row_of].transpose(0, 1)
                update = update * (kept / keep).to(update.dtype)
        found: Tensor = self.after(states + update)
        return found


def wrong_output(part: nn.Module, found: Any, expected: str) -> PluginError:
    """The error for a part that returned something unexpected."""
    shown = f"a tensor of the shape {[*found.shape]}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
    return wrong_value(part, "forward", "None" if found is None else shown, expected)


def of_shape(states: Tensor, part: nn.Module, found: Any) -> Tensor:
    """Check that the result of a part has the shape of the states; another shape could be broadcast without an error.

    Raises:
        PluginError: the result has another shape, or is not a tensor.
    """
    if not isinstance(found, Tensor) or found.shape != states.shape:
        raise wrong_output(part, found, f"the shape of the states, {[*states.shape]}")
    return found


def mixed_states(states: Tensor, mixer: nn.Module, found: Any) -> tuple[Tensor, Tensor | None]:
    """Check the result of a mixer: states of the same shape, and a value for the next layer.

    Raises:
        PluginError: the result is something else.
    """
    if not isinstance(found, tuple) or len(found) != 2:
        raise wrong_output(mixer, found, "new states, and what the next layer gets")
    mixed, carried = cast(tuple[Any, Tensor | None], found)
    return of_shape(states, mixer, mixed), carried


class TransformerLayer(nn.Module):
    """A mixer, optional attention to a memory, and a feed-forward layer.

    Mixer and feed-forward layer run one after the other, or in parallel.

    Args:
        options: the options of the layer.
        context: ``hidden_size`` is the width of the states.
        memory: options of the attention to a memory; None for a layer without it.
        normalised: True if the input is already normalised, so that the layer has no norm before its mixer.
    """

    def __init__(
        self,
        options: LayerOptions,
        context: BuildContext,
        memory: AttentionConfig | None = None,
        normalised: bool = False,
    ) -> None:
        super().__init__()
        size = context.hidden_size
        self.parallel = options.parallel
        self.mixer: Mixer = built(options.mixer.config, context, Mixer)
        self.mixer_residual = Residual(options, size, self.mixer.drops)
        if normalised:
            self.mixer_residual.before = nn.Identity()
        self.cross_attention = None if memory is None else CrossAttention(memory, context)
        self.cross_attention_residual = None if memory is None else Residual(options, size)
        self.feed_forward: FeedForward = built(options.feed_forward.config, context, FeedForward)
        self.feed_forward_residual = Residual(options, size)
        if self.parallel:
            self.feed_forward_residual.before = nn.Identity()  # it shares the mixer's norm

    def forward(
        self,
        states: Tensor,
        prepared: Any,
        carried: Any = None,
        memory: Any = None,
        kv_cache: LayerCache = None,
        read_positions: Tensor | None = None,
        packing: Packing | None = None,
        at: list[Tensor | None] | None = None,
    ) -> tuple[Any, Any]:
        """States (batch, length, hidden) → new states of the same shape, and a value for the next layer's mixer.

        Args:
            states: (batch, length, hidden).
            prepared: the result of ``prepare`` of this mixer or of one with equal options.
            carried: the second result of the previous layer.
            memory: states to attend to, and their mask (:class:`CrossAttention`).
            kv_cache: the cache and the number of this layer, which is part of the names of its entries.
            read_positions: (batch, number) to compute the new states of these positions only, (batch, number, hidden).
            packing: the parts of a batch whose states are packed, (1, number of positions, hidden). There is one value
                of ``prepared`` and ``carried`` for each part then, and the other arguments must be None.
            at: with ``packing``: ``read_positions`` of each part. The first result is then a list, with the new states
                of each part at these positions.
        """
        if packing is not None and at is not None:
            given = zip(packing.unpack(states), prepared, carried, at)
            return [self.forward(*each[:3], None, None, each[3])[0] for each in given], None
        if packing is not None:
            return self._packed(states, packing, prepared, carried)
        own = beside = None
        if kv_cache is not None:
            own, beside = (kv_cache[0].entry(f"{each}{kv_cache[1]}") for each in _ENTRIES)
        normal = self.mixer_residual.before(states)
        mixed = None
        if read_positions is not None:
            mixed = self.mixer.forward_at(normal, read_positions, prepared, carried)
        if mixed is None:
            mixed, carried = mixed_states(states, self.mixer, self.mixer(normal, prepared, carried, own))
            mixed = mixed if read_positions is None else states_at(mixed, read_positions)
        if read_positions is not None:
            states, normal = states_at(states, read_positions), states_at(normal, read_positions)
            mixed = of_shape(states, self.mixer, mixed)
        if self.parallel:
            update = of_shape(states, self.feed_forward, self.feed_forward(normal))
            return self.feed_forward_residual.add(self.mixer_residual.add(states, mixed), update), carried
        states = self.mixer_residual.add(states, mixed)
        if self.cross_attention is not None and self.cross_attention_residual is not None:
            mixed, _ = self.cross_attention(self.cross_attention_residual.before(states), memory, None, beside)
            states = self.cross_attention_residual.add(states, mixed)
        update = self.feed_forward(self.feed_forward_residual.before(states))
        update = of_shape(states, self.feed_forward, update)
        return self.feed_forward_residual.add(states, update), carried

    def _packed(
        self, states: Tensor, packing: Packing, prepared: list[Any], carried: list[Tensor | None]
    ) -> tuple[Tensor, list[Tensor | None]]:
        normal = self.mixer_residual.before(states)
        mixed = self.mixer.forward_packed(normal, packing, prepared)
        if mixed is None:
            given = zip(packing.unpack(normal), prepared, carried)
            found = [mixed_states(part, self.mixer, self.mixer(part, *values)) for part, *values in given]
            mixed, carried = packing.pack([part for part, _ in found]), [each for _, each in found]
        mixed = of_shape(states, self.mixer, mixed)
        if not self.parallel:
            states = self.mixer_residual.add(states, mixed, packing)
            normal = self.feed_forward_residual.before(states)
        update = of_shape(states, self.feed_forward, self.feed_forward(normal))
        if self.parallel:
            states = self.mixer_residual.add(states, mixed, packing)
        return self.feed_forward_residual.add(states, update, packing), carried

    def residual_outputs(self) -> list[nn.Parameter]:
        """The weights of the projections whose outputs are added to the states."""
        parts = (self.mixer, self.cross_attention, self.feed_forward)
        outputs = (getattr(part, "output", None) for part in parts)
        return [cast(nn.Parameter, output.weight) for output in outputs if output is not None]
