"""Detects non-finite losses and gradients; the host only reads the result at log lines."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.training.step import StepResult
from tp_core.training.strategies.base import Strategy


class NonfiniteWatch:
    """Remembers the first step since the last report whose update was skipped, and the responsible target.

    Args:
        targets: names of the model's targets.

    Attributes:
        first: (step, index of the loss: of a target, or of a hook), shape (2,), on the device; step 0 for none.
    """

    def __init__(self, strategy: Strategy, targets: list[str]) -> None:
        self._strategy, self._targets = strategy, targets
        self.first: Tensor = torch.zeros(2, device=strategy.device)

    def record(self, step: int, result: StepResult) -> None:
        """Record a step without waiting for the device."""
        # Losses that a hook names or changes come after those of the targets, and gradients come last.
        by_hook = len(self._targets) + 1
        places = [self._targets.index(name) + 1 if name in self._targets else by_hook for name in result.losses]
        finite = torch.stack([*(torch.isfinite(loss) for loss in result.losses.values()), result.finite])
        numbers = torch.tensor([*places, by_hook]).to(finite.device, non_blocking=True)
        blame = torch.where(finite, by_hook + 1, numbers).amin().float()
        bad = result.skipped
        if self._strategy.adapts_scale:  # overflow of half-precision gradients is expected
            bad = bad * (~result.finite).float()
        now = torch.stack([torch.full_like(blame, step), blame]) * bad
        self.first = torch.where(self.first[0] > 0, self.first, now)

    def report(self) -> str:
        """The message for the first skipped step, or an empty string; resets it. Waits for the device."""
        processes = self._strategy.processes
        step, blame = self.first.tolist()
        if not processes.agree(step > 0):
            return ""
        # Any process may hold the responsible target; gradients have a higher index than all targets.
        step, blame = min(found for found in processes.gather((step, blame)) if found[0] > 0)
        names = [*(f"the loss of target '{name}'" for name in self._targets), "a loss that a hook makes", "a gradient"]
        self.first = torch.zeros_like(self.first)
        return f"step {int(step)}: {names[int(blame) - 1]} is not finite; the update was not applied"
