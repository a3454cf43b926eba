"""A stack of recurrent layers whose results do not depend on padding."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tp_core.interfaces import KVCache
from tp_core.modules.layers.compaction import Compaction
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.recompute import Recompute, recomputed
from tp_core.modules.layers.recurrent_options import RecurrentOptions

#: The state of one layer: the hidden states and, for an LSTM, the cells, each (batch, 1, size).
State = tuple[Tensor, ...]

_LAYERS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentStack(nn.Module):
    """A stack of layers of the type ``RNN``, ``LSTM`` or ``GRU`` of ``torch.nn``.

    Each layer is a separate network with one layer. The random numbers of dropout inside a network with several layers
    would neither be saved in checkpoints nor repeated when activations are recomputed.
    """

    def __init__(self, config: RecurrentOptions, input_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        if config.cell_options().get("proj_size"):
            _suppress_projection_warning()
        self.bidirectional, self.residual, self.dropout = bidirectional, config.residual, config.dropout
        self.padding = config.padding
        width = config.direction_size() * (2 if bidirectional else 1)
        self.layers = nn.ModuleList(
            _LAYERS[config.cell](
                input_size if number == 0 else width,
                **config.cell_options(),
                bidirectional=bidirectional,
                batch_first=True,
            )
            for number in range(config.num_layers)
        )

    def forward(
        self,
        states: Tensor,
        mask: Tensor | None = None,
        kv_cache: KVCache | None = None,
        recompute: Recompute = False,
        start: list[State] | None = None,
    ) -> Tensor:
        """States (batch, length, input size) → (batch, length, width), zeros at padding unless it is read.

        Args:
            states: (batch, length, input size).
            mask: (batch, length), True where real; padding may be anywhere.
            kv_cache: stores the state after the last real position of each sample.
            recompute: True to recompute activations in the backward pass, layer by layer, instead of storing them.
            start: the initial state of each layer; zeros if None.
        """
        if mask is None or (self.padding and kv_cache is None):
            return self._run(states, None, None, kv_cache, recompute, start)
        compaction = Compaction(mask)
        states = compaction.front(states)
        if (not self.bidirectional and kv_cache is None) or states.is_meta:
            # Padding on the right does not change real positions, and the last state is not needed.
            return compaction.back(self._run(states, None, None, None, recompute, start))
        # Packing needs the lengths on the host, and at least one position per sample.
        lengths = compaction.lengths.clamp(min=1).cpu()
        packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
        data = self._run(packed.data, packed, compaction.lengths > 0, kv_cache, recompute, start)
        padded, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=states.shape[1])
        return compaction.back(padded)

    def _run(
        self,
        states: Tensor,
        packed: PackedSequence | None,
        moved: Tensor | None,
        kv_cache: KVCache | None,
        recompute: Recompute,
        start: list[State] | None,
    ) -> Tensor:
        """Run all layers on padded states or on the data of a packed sequence.

        Args:
            states: padded states, or the data of ``packed``.
            packed: the packed sequence, or None.
            moved: (batch,) bool, True for samples with real positions, whose state changes; None if all have some.
            kv_cache: as in :meth:`forward`.
            recompute: as in :meth:`forward`.
            start: as in :meth:`forward`.
        """
        for number, layer in enumerate(self.layers):
            before = None if kv_cache is None else kv_cache.get(f"layer{number}")
            if before is None and start is not None:
                before = start[number]
            if recompute and self.training:
                outputs, _ = recomputed(recompute, _call, layer, states, packed, before)
            else:
                outputs, after = _call(layer, states, packed, before)
                if kv_cache is not None:
                    kv_cache.put(f"layer{number}", *_kept(before, after, moved))
            if self.residual and number:
                outputs = outputs + states
            states = dropout(outputs, self.dropout, self.training)
        return states


@functools.cache
def _suppress_projection_warning() -> None:
    """Trigger torch's warning about LSTM projections on CPUs here, where it is ignored.

    Torch shows this warning once per process. Users cannot act on it, and a permanent warning filter would affect the
    whole process.
    """
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.no_grad():
        warnings.simplefilter("ignore")
        nn.LSTM(1, 2, proj_size=1, device="cpu")(torch.zeros(1, 1, 1, device="cpu"))


def _call(
    layer: nn.Module, states: Tensor, packed: PackedSequence | None, before: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one layer; returns its outputs and its state (:data:`State`) after the last position."""
    if states.is_meta:
        return _outlined(layer, states), ()
    start: Any = None
    exact = _needs_fp32(layer, states.device.type)
    if before is not None:
        # States of torch's layers have the dimensions (direction, batch, size).
        start = tuple(tensor.transpose(0, 1).contiguous() for tensor in before)
        start = tuple(tensor.float() for tensor in start) if exact else start
        start = start if isinstance(layer, nn.LSTM) else start[0]
    with torch.autocast("cpu", enabled=False) if exact else contextlib.nullcontext():
        states = states.float() if exact else states
        outputs, after = layer(states if packed is None else packed._replace(data=states), start)
    after = after if isinstance(after, tuple) else (after,)
    return outputs if packed is None else outputs.data, tuple(tensor.transpose(0, 1) for tensor in after)


def _needs_fp32(layer: nn.Module, device: str) -> bool:
    """True for an LSTM in an autocast precision for which the CPU has no kernel, where torch would raise an error.

    In this case, torch runs a GRU in fp32 by itself.
    """
    if device != "cpu" or not isinstance(layer, nn.LSTM) or not torch.is_autocast_enabled("cpu"):
        return False
    return not _has_kernel(torch.get_autocast_dtype("cpu"))


@functools.cache
def _has_kernel(precision: torch.dtype) -> bool:
    """True if oneDNN has an LSTM kernel in this precision on this CPU; without oneDNN, torch uses its own kernel."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return True
    known = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}
    return precision not in known or bool(getattr(torch.ops.mkldnn, known[precision])())


def _outlined(layer: nn.Module, states: Tensor) -> Tensor:
    """An approximation of a layer on the meta device: its matrix products and about the same kept activations.

    It processes all positions at once. Without a kernel for whole layers, torch would process them one by one, which is
    slow and not needed to measure the cost.
    """
    assert isinstance(layer, nn.RNNBase)
    found = []
    for into, over, *others in layer.all_weights:
        biases, projection = (others[:2], others[2:]) if layer.bias else ([None, None], others)
        before = states.new_empty((*states.shape[:-1], over.shape[1]))
        gates = torch.sigmoid(F.linear(states, into, biases[0]) + F.linear(before, over, biases[1]))
        units = torch.tanh(gates[..., : layer.hidden_size] * gates[..., -layer.hidden_size :])
        found.append(F.linear(units, projection[0]) if projection else units)
    return torch.cat(found, dim=-1)


def _kept(before: tuple[Tensor, ...] | None, after: tuple[Tensor, ...], moved: Tensor | None) -> tuple[Tensor, ...]:
    """The new state, or the old one for samples without real positions."""
    if moved is None:
        return after
    before = before or tuple(torch.zeros_like(tensor) for tensor in after)
    return tuple(torch.where(moved[:, None, None], new, old) for old, new in zip(before, after))
