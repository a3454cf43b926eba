"""Recurrent layers of torch whose weights are replaced by parts of them, and joined for the forward pass."""

from __future__ import annotations

from typing import Any

from torch import nn


def follow_weights(model: nn.Module) -> None:
    """Make all recurrent layers read the weights that they have at each forward pass.

    Torch's layers keep a list of their weights from when they were built.
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.register_forward_pre_hook(_renew)


def _renew(layer: Any, _: Any) -> None:
    layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
