"""A stack of recurrent layers that padding does not reach."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from tp_core.interfaces import KVCache
from tp_core.modules.layers.compaction import Compaction
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.recurrent_options import RecurrentOptions

#: Of one layer, (batch, 1, size) each: the states, and of an LSTM its cells.
State = tuple[Tensor, ...]

_LAYERS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentStack(nn.Module):
    """Layers of ``torch.nn``'s ``RNN``, ``LSTM`` or ``GRU``, one upon the other.

    Each layer is a network of its own and not a part of one: dropout inside of a network has random numbers that
    are neither saved in a checkpoint nor drawn again when activations are recomputed.
    """

    def __init__(self, config: RecurrentOptions, input_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        if config.cell_options().get("proj_size"):
            _say_once()
        self.bidirectional, self.residual, self.dropout = bidirectional, config.residual, config.dropout
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
        recompute: bool = False,
        start: list[State] | None = None,
    ) -> Tensor:
        """States (batch, length, input size) → (batch, length, width), zeros at padding.

        Args:
            mask: (batch, length), True where real; padding may stand anywhere.
            kv_cache: keeps the state behind the last real position of each sample.
            recompute: activations in the backward pass, layer by layer, instead of remembering them.
            start: the state of each layer before the first position; zeros if None.
        """
        if mask is None:
            return self._run(states, None, None, kv_cache, recompute, start)
        compaction = Compaction(mask)
        states = compaction.front(states)
        if (not self.bidirectional and kv_cache is None) or states.is_meta:
            # What stands behind the real positions does not reach them, and nobody asks for the last state.
            return compaction.back(self._run(states, None, None, None, recompute, start))
        # Packing needs the lengths on the host, and one position at least.
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
        recompute: bool,
        start: list[State] | None,
    ) -> Tensor:
        """All layers, on padded states or on the data of a packed sequence.

        Args:
            moved: (batch,) whether a sample has a real position, so that its state moves on; None if all have.
        """
        for number, layer in enumerate(self.layers):
            before = None if kv_cache is None else kv_cache.get(f"layer{number}")
            if before is None and start is not None:
                before = start[number]
            if recompute and self.training:
                outputs, _ = checkpoint(_call, layer, states, packed, before, use_reentrant=False)
            else:
                outputs, after = _call(layer, states, packed, before)
                if kv_cache is not None:
                    kv_cache.put(f"layer{number}", *_kept(before, after, moved))
            if self.residual and number:
                outputs = outputs + states
            states = dropout(outputs, self.dropout, self.training)
        return states


@functools.cache
def _say_once() -> None:
    """Let torch say here, where nobody hears it, what it says of projections on CPUs to the first who has some.

    People can do nothing about it, and a filter of warnings would be one of the whole process.
    """
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.no_grad():
        warnings.simplefilter("ignore")
        nn.LSTM(1, 2, proj_size=1, device="cpu")(torch.zeros(1, 1, 1, device="cpu"))


def _call(
    layer: nn.Module, states: Tensor, packed: PackedSequence | None, before: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer: outputs, and the state (batch, 1, size) behind the last position, of an LSTM its cells' too."""
    if states.is_meta:
        return _outlined(layer, states), ()
    start: Any = None
    exact = _needs_fp32(layer, states.device.type)
    if before is not None:
        # The layer's own order of dimensions is (direction, batch, size).
        start = tuple(tensor.transpose(0, 1).contiguous() for tensor in before)
        start = tuple(tensor.float() for tensor in start) if exact else start
        start = start if isinstance(layer, nn.LSTM) else start[0]
    with torch.autocast("cpu", enabled=False) if exact else contextlib.nullcontext():
        states = states.float() if exact else states
        outputs, after = layer(states if packed is None else packed._replace(data=states), start)
    after = after if isinstance(after, tuple) else (after,)
    return outputs if packed is None else outputs.data, tuple(tensor.transpose(0, 1) for tensor in after)


def _needs_fp32(layer: nn.Module, device: str) -> bool:
    """True for an LSTM in a precision of which the CPU has no kernel: torch raises there, and has a GRU in fp32."""
    if device != "cpu" or not isinstance(layer, nn.LSTM) or not torch.is_autocast_enabled("cpu"):
        return False
    return not _has_kernel(torch.get_autocast_dtype("cpu"))


@functools.cache
def _has_kernel(precision: torch.dtype) -> bool:
    """True if oneDNN has a kernel of an LSTM in this precision on this machine; without oneDNN, torch has its own."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return True
    known = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}
    return precision not in known or bool(getattr(torch.ops.mkldnn, known[precision])())


def _outlined(layer: nn.Module, states: Tensor) -> Tensor:
    """The matrix products of a layer, and about what it keeps for its backward pass, of all positions at once.

    Off the devices that have a kernel for a whole layer, torch goes position by position: slow, for a price alone.
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
    """The state to go on from: padding alone moves nothing."""
    if moved is None:
        return after
    before = before or tuple(torch.zeros_like(tensor) for tensor in after)
    return tuple(torch.where(moved[:, None, None], new, old) for old, new in zip(before, after))
