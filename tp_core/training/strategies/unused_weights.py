"""Weights that a loss does not depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def unused_weights(loss: Tensor, named: Mapping[str, nn.Parameter]) -> list[str]:
    """The names of the weights to which no gradient of a loss flows, found in its graph on the host."""
    reached: set[int] = set()
    begun: set[Any] = {loss.grad_fn}
    left: list[Any] = [loss.grad_fn]
    while left:
        node = left.pop()
        if (variable := getattr(node, "variable", None)) is not None:
            reached.add(id(variable))
        for following, _ in node.next_functions:
            if following is not None and following not in begun:
                begun.add(following)
                left.append(following)
    return [name for name, weight in named.items() if id(weight) not in reached]
