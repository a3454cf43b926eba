"""The training modules of :mod:`tests.core.odd_training`, each with one fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tp_core import LoggedRun, Logger, Optimizer, Schedule, hookimpl
from tp_core.training.strategies.single import SingleStrategy


class Descent(torch.optim.Optimizer):
    """Gradient descent with decoupled decay, without a fault."""

    sign = 1.0

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.apply(weight, weight.grad, group)
        return None

    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(gradient, alpha=self.sign * group["lr"])


class Climbs(Descent):
    sign = -1.0


class Rests(Descent):
    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        pass


class KeepsRate(Descent):
    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params)
        self.rate = self.param_groups[0]["lr"]

    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().apply(weight, gradient, {**group, "lr": self.rate})


class OneGroup(Descent):
    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().apply(weight, gradient, self.param_groups[-1])


class NoDecay(Descent):
    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().apply(weight, gradient, {**group, "weight_decay": 0.0})


class NeedsGradients(Descent):
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            for weight in group["params"]:
                self.apply(weight, weight.grad.clone(), group)
        return None


class HiddenMomentum(Descent):
    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params)
        self.sums: dict[Tensor, Tensor] = {}

    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        self.sums[weight] = gradient + 0.5 * self.sums.get(weight, torch.zeros_like(gradient))
        super().apply(weight, self.sums[weight], group)


class UndeclaredState(Descent):
    def apply(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        self.state[weight]["before"] = gradient.clone()
        super().apply(weight, gradient, group)


class _Scaled(Optimizer):
    """Gradient descent that the device may leave out, without a fault."""

    scaled = left_out = True

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, {})

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for weight in parameters:
            assert weight.grad is not None
            gradient = weight.grad / self.grad_scale if self.scaled and self.grad_scale is not None else weight.grad
            weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(gradient, alpha=group["lr"])


class IgnoresScale(_Scaled):
    scaled = False


class IgnoresFlag(_Scaled):
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            self._update(group, [each for each in group["params"] if each.grad is not None])
        return None


class Falls(Schedule):
    """A straight line, without a fault."""

    def __init__(self, config: Any, warmup: int, total_steps: int) -> None:
        super().__init__(warmup, total_steps)

    def after_warmup(self, step: float) -> float:
        return 1.0 - self.progress(step)


class Counts(Falls):
    asked = 0

    def after_warmup(self, step: float) -> float:
        self.asked += 1
        return 1.0 / self.asked


class Negative(Falls):
    def after_warmup(self, step: float) -> float:
        return 1.0 - 2 * self.progress(step) if self.total_steps > 1 else 1.0


class FailsAtTheEnd(Falls):
    def after_warmup(self, step: float) -> float:
        return min(1.0, 1.0 / (self.total_steps - step))


class GoesOn(Falls):
    def factor(self, step: float) -> float:
        return 1.0 / (1.0 + step)


class NoWarmup(Falls):
    def factor(self, step: float) -> float:
        return 1.0


class Nothing(Falls):
    def after_warmup(self, step: float) -> float:
        return 0.0


class Lines(Logger):
    """Appends lines to a file, without a fault."""

    file, mode = "lines.txt", "a"

    def __init__(self, config: Any, run: LoggedRun) -> None:
        self.out = open(run.folder / self.file, self.mode, encoding="utf-8")  # noqa: SIM115

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.out.write(f"{step} {dict(values)}\n")

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        pass

    def text(self, step: int, name: str, text: str) -> None:
        self.out.write(f"{step} {text}\n")

    def close(self) -> None:
        self.out.close()


class Truncates(Lines):
    mode = "w"


class Overwrites(Lines):
    file = "metrics.jsonl"


class NoPictures(Lines):
    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        self.out.close()
        raise NotImplementedError("no pictures")


class Created(Lines):
    def __init__(self, config: Any, run: LoggedRun) -> None:
        (run.folder / "lines").mkdir()
        super().__init__(config, run)


class HalfGradients(SingleStrategy):
    def backward(self, loss: Tensor) -> None:
        super().backward(loss * 0.5)


class OtherStart(SingleStrategy):
    def place(self, model: Any, seed: int) -> None:
        super().place(model, seed + 1)


class LosesState(SingleStrategy):
    def restore(self, model: Any, folder: Path, facts: Any) -> None:
        super().restore(model, folder, facts)
        for own in self.optimizer.state.values():
            own["exp_avg"].zero_()


class Deaf:
    def __init__(self, config: Any) -> None:
        pass

    def tp_step_end(self) -> None:
        pass


class Misheard(Deaf):
    @hookimpl
    def tp_step_ended(self, step: int) -> None:
        pass


class Odd(Deaf):
    def __init__(self, config: Any, context: Any) -> None:
        super().__init__(config)
