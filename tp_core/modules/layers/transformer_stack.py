"""The stack of transformer layers of which transformer encoders and decoders consist."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor, nn

from tp_core.interfaces import Module, Sequence
from tp_core.interfaces.kv_cache import KVCache
from tp_core.modules.build import built
from tp_core.modules.layers.length_groups import Groups, length_groups, packing_of, put_together
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import visible_memory
from tp_core.modules.layers.positions_read import states_among, whole, worth_reading
from tp_core.modules.layers.recompute import Recompute, recomputed
from tp_core.modules.layers.shared_parts import SharedParts
from tp_core.modules.layers.transformer_layer import TransformerLayer
from tp_core.modules.layers.transformer_options import LayerOptions, TransformerOptions
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.context import BuildContext


class TransformerStack(Module):
    """A stack of transformer layers. Mixers with equal options share modules and values that are computed once.

    Args:
        options: the options of the stack.
        context: ``hidden_size`` is the width of the states.
        input_size: width of the input, which is projected if it differs from ``hidden_size``.
        memory: options of the attention to a memory; None for layers without it.
    """

    checkpoint_activations: Recompute = False

    def __init__(
        self,
        options: TransformerOptions,
        context: BuildContext,
        input_size: int,
        memory: AttentionConfig | None = None,
    ) -> None:
        super().__init__()
        self.options, size = options, context.hidden_size
        # ALBERT's factorised embeddings are narrower than the states.
        self.projection = Linear(input_size, size, std=options.init_std) if input_size != size else None
        each: list[LayerOptions] = [options.layer(number) for number in range(options.num_layers)]
        distinct = each[:1] if options.share_layers else each
        self.layers = nn.ModuleList(
            TransformerLayer(layer, context, memory, normalised=not (number or options.first_norm))
            for number, layer in enumerate(distinct)
        )
        self.norm = built(options.norm.config, size) if options.has_final_norm() else nn.Identity()
        # Only the options are compared, not their paths in the spec.
        mixers = [(type(layer.mixer.config), layer.mixer.config.model_dump()) for layer in distinct]
        #: For each layer, the first one whose mixer has equal options.
        self.alike = [mixers.index(mixer) for mixer in mixers]
        self.shared = SharedParts(cast(TransformerLayer, self.layers[n]).mixer for n in sorted(set(self.alike)))

    def run(self, sequence: Sequence, memory: Sequence | None = None, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, input_size) → (batch, length, hidden_size)."""
        sequence = worth_reading(sequence) if self.options.num_layers and kv_cache is None else whole(sequence)
        alone = memory is None and kv_cache is None and not any(layer.mixer.reads_padding for layer in self._layers())
        groups = length_groups(sequence) if alone else None
        states = self._run(sequence, memory, kv_cache) if groups is None else self._run_packed(sequence, groups)
        if sequence.read_positions is not None:
            states = states_among(states, sequence.read_positions, sequence.states.shape[1])
        return sequence.with_states(states)

    def _layers(self) -> list[TransformerLayer]:
        return [cast(TransformerLayer, layer) for layer in self.layers]

    def _run(self, sequence: Sequence, memory: Sequence | None, kv_cache: KVCache | None) -> Tensor:
        """(batch, length, hidden_size), or (batch, number, hidden_size) if the sequence has ``read_positions``."""
        states = sequence.states if self.projection is None else self.projection(sequence.states)
        run = self.shared.begin(sequence.with_states(states), kv_cache)
        layers = self._layers()
        prepared = {number: layers[number].mixer.prepare(run) for number in sorted(set(self.alike))}
        beside = None if memory is None else (memory.states, visible_memory(memory))
        carried = None
        for number in range(self.options.num_layers):
            own = number % len(layers)
            cache = None if kv_cache is None else (kv_cache, number)
            read = sequence.read_positions if number == self.options.num_layers - 1 else None
            given = (states, prepared[self.alike[own]], carried, beside, cache, read)
            states, carried = self._call(layers[own], *given)
        normal: Tensor = self.norm(states)
        return normal

    def _run_packed(self, sequence: Sequence, groups: Groups) -> Tensor:
        """:meth:`_run` of a sequence with padding, which the layers do not compute.

        A last layer with ``read_positions`` computes padding, too, where its mixer reads all positions.
        """
        packing, layers = packing_of(sequence, groups), self._layers()
        parts, read = packing.parts, sequence.read_positions is not None
        states = packing.pack([part.states for part in parts])
        if self.projection is not None:
            states = self.projection(states)
            parts = [part.with_states(own) for part, own in zip(parts, packing.unpack(states))]
        runs = [self.shared.begin(part) for part in parts]
        prepared = {n: [layers[n].mixer.prepare(run) for run in runs] for n in sorted(set(self.alike))}
        carried = [None] * len(parts)
        for number in range(self.options.num_layers - read):
            own = number % len(layers)
            given = (states, prepared[self.alike[own]], carried, None, None, None, packing)
            states, carried = self._call(layers[own], *given)
        if not read:
            return put_together(packing.unpack(self.norm(states)), groups, sequence.states.shape[1])
        at = [part.read_positions for part in parts]
        # One call: processes that divide the layer's weights must call it equally often.
        last, _ = self._call(layers[-1], states, prepared[self.alike[-1]], carried, None, None, None, packing, at)
        return put_together([self.norm(part) for part in last], groups, None)

    def _call(self, layer: TransformerLayer, *given: Any) -> Any:
        """Run a layer; if ``checkpoint_activations`` is set, its activations are computed again for the gradients."""
        if self.checkpoint_activations and self.training:
            return recomputed(self.checkpoint_activations, layer, *given)
        return layer(*given)

    def repeated_layers(self) -> Iterator[nn.Module]:
        yield from self.layers

    def residual_scales(self) -> Iterator[tuple[nn.Parameter, float]]:
        if self.options.scale_residual_init:
            factor = 1 / math.sqrt(2 * self.options.num_layers)
            for layer in self.layers:
                for weight in cast(TransformerLayer, layer).residual_outputs():
                    yield weight, factor
