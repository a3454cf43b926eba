"""The memory that a forward pass keeps for its backward pass, measured on the meta device.

The meta device has neither fused kernels nor autocast. This file imitates both, operation by operation, as far as they
determine which tensors are kept and in which dtype.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from tp_core.modules.layers.recompute import watched

#: Operations that autocast runs in the lower precision, and those that it runs in float32.
_LOWER = {
    F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.mm, torch.bmm, torch.addmm, torch.baddbmm,
    torch.einsum, F.conv1d, F.conv2d, F.conv3d,
}  # fmt: skip
_FLOAT32 = {
    F.layer_norm, F.rms_norm, F.group_norm, F.softmax, torch.softmax, Tensor.softmax, F.log_softmax,
    torch.log_softmax, Tensor.log_softmax, F.cross_entropy, F.mse_loss, F.l1_loss, F.cosine_similarity,
}  # fmt: skip


@contextmanager
def autocast_on_meta(compute: torch.dtype) -> Iterator[None]:
    """Define the autocast state of the meta device for modules that query it, where torch raises an error."""
    is_enabled, get_dtype = torch.is_autocast_enabled, torch.get_autocast_dtype

    def enabled(*device: Any) -> bool:
        return compute != torch.float32 if device == ("meta",) else is_enabled(*device)

    def dtype(device: str) -> torch.dtype:
        return compute if device == "meta" else get_dtype(device)

    with (
        patch.object(torch, "is_autocast_enabled", enabled),
        patch.object(torch, "get_autocast_dtype", dtype),
    ):
        yield


class _FusedAttention(torch.autograd.Function):
    """Keeps the same tensors as a fused attention kernel: its inputs, its output and one number per query."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        *lead, heads, length, _ = queries.shape
        # Kernels lay out positions before heads, so that merging the heads afterwards is a view.
        output = queries.new_empty((*lead, length, heads, values.shape[-1])).transpose(-3, -2)
        normaliser = queries.new_empty(queries.shape[:-1], dtype=torch.float32)
        kept = [queries, keys, values, output, normaliser]
        ctx.save_for_backward(*kept, *([] if mask is None else [mask]))
        return output


class _LikeADevice(TorchFunctionMode):
    """Runs operations like an accelerator: fused attention, one-byte dropout masks, autocast."""

    def __init__(self, compute: torch.dtype) -> None:
        super().__init__()
        self.compute = compute
        self.cast_weights: dict[int, Tensor] = {}  # autocast casts each weight once per forward pass

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        if self.compute != torch.float32 and func in _LOWER:
            return func(*self._cast(args, self.compute), **self._cast(kwargs, self.compute))
        if self.compute != torch.float32 and func in _FLOAT32:
            return func(*self._cast(args, torch.float32), **self._cast(kwargs, torch.float32))
        return func(*args, **kwargs)

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *_: Any, **__: Any
    ) -> Tensor:
        given = self._cast((query, key, value, attn_mask), self.compute)
        output: Tensor = _FusedAttention.apply(*given)
        return output

    @staticmethod
    def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return torch.native_dropout(input, p, training)[0] if p and training else input

    def _cast(self, value: Any, dtype: torch.dtype) -> Any:
        if isinstance(value, Tensor):
            if not value.is_floating_point() or value.dtype == dtype:
                return value
            if not isinstance(value, nn.Parameter):
                return value.to(dtype)
            if id(value) not in self.cast_weights:
                self.cast_weights[id(value)] = value.to(dtype)
            return self.cast_weights[id(value)]
        if isinstance(value, (tuple, list)):
            return type(value)(self._cast(each, dtype) for each in value)
        if isinstance(value, dict):
            return {key: self._cast(each, dtype) for key, each in value.items()}
        return value


def saved_bytes(model: nn.Module, batch: Any, compute: torch.dtype = torch.float32) -> int:
    """Number of bytes that ``model(batch)`` keeps for the backward pass, without the model's weights and buffers.

    Args:
        model: a model on the meta device, in training mode.
        batch: its input, on the meta device.
        compute: dtype of matrix products: float32, or the dtype of autocast.
    """
    known = {_storage(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.device.type == "meta" and _storage(tensor) not in known:
            kept.setdefault(_storage(tensor), tensor)  # views of one storage count once
        return tensor

    def store(tensor: Tensor) -> None:
        kept.setdefault(_storage(tensor), tensor)

    hooks = saved_tensors_hooks(keep, lambda tensor: tensor)
    with warnings.catch_warnings(), autocast_on_meta(compute), hooks, watched(store), _LikeADevice(compute):
        warnings.filterwarnings("ignore", "A saved_tensors_hooks context", FutureWarning)
        output = model(batch)
    del output
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
