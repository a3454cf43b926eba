"""The result of a model's forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from tp_core.interfaces import Joined, MetricState, TargetOutput


@dataclass
class ModelOutput:
    """The result of ``Model.forward``.

    Attributes:
        loss: the weighted sum of the targets' mean losses, a scalar to call ``backward`` on.
        losses: mean loss of each target.
        metrics: ``target/metric`` → mean value, scalars on the device; ``outputs`` has those that are no means.
        outputs: each target's sums and counts, for adding up over batches.
        predictions: the result of ``Model.predict`` if it was asked for, else empty.
        tables: the states of the targets' tables, ``target/table``, if they were asked for, else empty.
    """

    loss: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, TargetOutput] = field(default_factory=dict)
    predictions: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, MetricState] = field(default_factory=dict)


def detached(output: TargetOutput) -> TargetOutput:
    """A target's output without gradients."""

    def plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(value.detach() if isinstance(value, Tensor) else value for value in values)

    metrics: dict[str, MetricState] = {
        name: Joined(plain(state.columns)) if isinstance(state, Joined) else plain(state)
        for name, state in output.metrics.items()
    }
    return TargetOutput(output.loss_sum.detach(), output.denominator.detach(), metrics)


def together(losses: Tensor, plain: dict[str, TargetOutput]) -> dict[str, TargetOutput]:
    """The outputs of targets of which ``Model._outputs_apart`` gave the parts."""
    return {name: replace(output, loss_sum=loss) for loss, (name, output) in zip(losses.unbind(), plain.items())}
