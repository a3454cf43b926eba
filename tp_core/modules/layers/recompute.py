"""Activation checkpointing: activations of a layer are computed again in the backward pass instead of being stored."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

#: False: activations are stored; True: all are recomputed; ``selective``: all but results of costly operations.
Recompute = bool | Literal["selective"]

_Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]

#: Operations whose results ``selective`` stores: matrix products, convolutions and attention, by their names in aten.
_COSTLY = (
    *("mm", "addmm", "bmm", "baddbmm", "convolution", "linear"),
    *("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    *("_scaled_dot_product_fused_attention_overrideable", "_flash_attention_forward", "_efficient_attention_forward"),
)

#: Receives the results that ``selective`` stores, while memory is estimated.
_watchers: list[Callable[[Tensor], None]] = []


def recomputed(
    how: Recompute, function: Callable[..., Any], *given: Any, contexts: Callable[[], _Contexts] | None = None
) -> Any:
    """The result of a function whose activations are not stored, but computed again for the gradients.

    Args:
        how: True, or ``selective``.
        function: a layer, or a function of one.
        contexts: gives a context for the forward pass, and one for the recomputation.
    """
    if how == "selective":
        every = [_selective] if contexts is None else [contexts, _selective]
        return checkpoint(function, *given, use_reentrant=False, context_fn=lambda: _joined([each() for each in every]))
    if contexts is not None:
        return checkpoint(function, *given, use_reentrant=False, context_fn=contexts)
    return checkpoint(function, *given, use_reentrant=False)


@contextlib.contextmanager
def watched(watcher: Callable[[Tensor], None]) -> Iterator[None]:
    """A context in which a function receives all results that ``selective`` stores."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def _selective() -> _Contexts:
    contexts: _Contexts = create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]
    if not _watchers:
        return contexts
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = func(*args, **(kwargs or {}))
            if _is_costly(func):
                for each in found if isinstance(found, (tuple, list)) else [found]:
                    for watcher in _watchers if isinstance(each, Tensor) else ():
                        watcher(each)
            return found

    watch: AbstractContextManager[Any] = Watch()  # type: ignore[no-untyped-call]
    return _joined([contexts, (watch, contextlib.nullcontext())])


def _policy(context: Any, operation: Any, *given: Any, **named: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if _is_costly(operation) else CheckpointPolicy.PREFER_RECOMPUTE


def _is_costly(operation: Any) -> bool:
    packet = getattr(operation, "overloadpacket", None)
    return packet is not None and packet in _costly()


def _costly() -> set[Any]:
    if not _known:
        _known.update(getattr(torch.ops.aten, name) for name in _COSTLY if hasattr(torch.ops.aten, name))
    return _known


_known: set[Any] = set()


def _joined(pairs: list[_Contexts]) -> _Contexts:
    return _Stack([one for one, _ in pairs]), _Stack([other for _, other in pairs])


class _Stack(AbstractContextManager[None]):
    def __init__(self, contexts: list[AbstractContextManager[Any]]) -> None:
        self._contexts, self._stack = contexts, ExitStack()

    def __enter__(self) -> None:
        for context in self._contexts:
            self._stack.enter_context(context)

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
