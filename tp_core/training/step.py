"""One training step: passes of the micro-batches and the update. It never waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.evaluation.totals import Totals, divided, states_of
from tp_core.interfaces import Batch
from tp_core.model import Model
from tp_core.model_output import ModelOutput
from tp_core.packages.plugin_errors import expect
from tp_core.training.strategies.base import Applied, Strategy

#: Returns the contexts of further passes over the micro-batches of a step, one per pass over all of them.
FurtherPasses = Callable[[Sequence[Batch]], Iterable[AbstractContextManager[Any]]]

_NOTHING_ADDED = (
    "train.hooks: the last context of a hook's tp_further_passes sets its gradients aside, but processes add up "
    "gradients in the last pass of a step; only earlier contexts may enter strategy.gradients_set_aside()"
)


@dataclass
class StepResult:
    """The results of one training step, on the device.

    Attributes:
        loss: this process's share of the loss; the sum over all processes is the loss.
        finite: True if the losses of all passes are finite, those of further passes included.
        losses: this process's share of each target's loss.
        totals: losses and metrics, to be summed until the next log line.
        norm: norm of the gradients before clipping.
        skipped: 1 if something was not finite and the update was skipped, else 0.
    """

    loss: Tensor
    finite: Tensor
    losses: dict[str, Tensor]
    totals: Totals
    norm: Tensor
    skipped: Tensor


def training_step(
    model: Model,
    module: nn.Module,
    strategy: Strategy,
    batches: Sequence[Batch],
    lr: float,
    further_passes: FurtherPasses | None = None,
) -> StepResult:
    """Train on the micro-batches of one step and update the weights.

    Args:
        model: the model, on the strategy's device.
        module: the result of ``strategy.wrap``; the strategy has an optimizer.
        batches: micro-batches of this process.
        lr: scheduled learning rate.
        further_passes: contexts in which the passes over all micro-batches are repeated. Their gradients are added;
            their losses and metrics are not counted (hook ``tp_further_passes``).

    Raises:
        TPError: the gradients of the last pass are set aside.
    """
    module.train()
    batches = [batch.to(strategy.device) for batch in batches]
    denominators = _denominators(model, strategy, batches)
    totals, states, losses = Totals(strategy.device), dict[str, Any](), dict[str, Tensor]()
    total: Tensor | None = None
    further: Tensor | None = None
    contexts: list[AbstractContextManager[Any]] = [nullcontext()]
    if further_passes is not None:
        contexts += further_passes(batches)
    for place, context in enumerate(contexts):
        with context:
            for number, batch in enumerate(batches):
                last = place == len(contexts) - 1 and number == len(batches) - 1
                if last and strategy.sets_aside:
                    raise TPError(_NOTHING_ADDED)
                output = strategy.forward_backward(module, batch, denominators, last)
                expect(output, ModelOutput, strategy, "forward_backward", "a ModelOutput")
                loss = output.loss.detach()
                if place:
                    further = loss if further is None else further + loss
                    continue
                totals.add(states)
                states, _ = divided(states_of(output))  # joined rows are only kept in evaluations
                total = loss if total is None else total + loss
                for name, own in output.losses.items():
                    losses[name] = own if name not in losses else losses[name] + own
    assert total is not None
    applied = expect(strategy.apply(lr), Applied, strategy, "apply", "an Applied")
    norm, skipped = (torch.as_tensor(each, device=strategy.device) for each in applied)
    # Each process holds its share of the loss, and the shares are summed; only one process counts the step.
    steps = torch.full((), 1.0 if strategy.data_parallel.rank == 0 else 0.0, device=strategy.device)
    shares = {"loss": (total, steps), **{f"loss/{name}": (loss, steps) for name, loss in losses.items()}}
    totals.add({**shares, **states})
    finite = torch.isfinite(total if further is None else total + further)
    return StepResult(total, finite, losses, totals, norm, skipped)


def _denominators(model: Model, strategy: Strategy, batches: Sequence[Batch]) -> Mapping[str, Tensor] | None:
    """Each target's count over all micro-batches and processes; None if this batch is the whole step."""
    if len(batches) == 1 and strategy.data_parallel.world_size == 1:
        return None
    counts = model.denominators(batches[0])
    for batch in batches[1:]:
        counts = counts + model.denominators(batch)
    return dict(zip(model.active(batches[0]), strategy.data_parallel.all_reduce(counts)))
