"""The optimizers' papers in NumPy, float64, one parameter at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Paper:
    """A weight, and its update by a gradient at a learning rate."""

    def __init__(self, weight: Array, weight_decay: float = 0.01, **options: Any) -> None:
        self.weight, self.weight_decay, self.options, self.t = weight.copy(), weight_decay, options, 0
        self.begin()

    def begin(self) -> None:
        """Make the state."""

    def step(self, gradient: Array, lr: float) -> None:
        self.t += 1
        self.weight = self.weight - lr * self.weight_decay * self.weight - self.update(gradient, lr)

    def update(self, gradient: Array, lr: float) -> Array:
        raise NotImplementedError


class AdamW(Paper):
    """Loshchilov & Hutter (2019), algorithm 2; without correction as in google-research/bert, optimization.py."""

    def begin(self) -> None:
        self.mean = self.square = np.zeros_like(self.weight)

    def update(self, gradient: Array, lr: float) -> Array:
        (beta1, beta2), eps = self.options.get("betas", (0.9, 0.999)), self.options.get("eps", 1e-8)
        self.mean = beta1 * self.mean + (1 - beta1) * gradient
        self.square = beta2 * self.square + (1 - beta2) * gradient**2
        if not self.options.get("bias_correction", True):
            return lr * self.mean / (np.sqrt(self.square) + eps)
        mean, square = self.mean / (1 - beta1**self.t), self.square / (1 - beta2**self.t)
        return lr * mean / (np.sqrt(square) + eps)


class Sgd(Paper):
    """Sutskever et al. (2013) as torch has it: gradients add up, and the sum takes the learning rate of the step."""

    def begin(self) -> None:
        self.sum = np.zeros_like(self.weight)

    def update(self, gradient: Array, lr: float) -> Array:
        momentum = self.options.get("momentum", 0.9)
        self.sum = momentum * self.sum + gradient
        return lr * (gradient + momentum * self.sum if self.options.get("nesterov") else self.sum)


class Lion(Paper):
    """Chen et al. (2023), algorithm 2."""

    def begin(self) -> None:
        self.momentum = np.zeros_like(self.weight)

    def update(self, gradient: Array, lr: float) -> Array:
        beta1, beta2 = self.options.get("betas", (0.9, 0.99))
        direction = np.sign(beta1 * self.momentum + (1 - beta1) * gradient)
        self.momentum = beta2 * self.momentum + (1 - beta2) * gradient
        return lr * direction


class Adafactor(Paper):
    """Shazeer & Stern (2018), algorithms 4 (matrices) and 5 (vectors), in sums as they are printed.

    Leading dimensions are matrices side by side, whose update is clipped and scaled as one; ``beta1`` is the first
    moment of updates as in tensor2tensor.
    """

    def begin(self) -> None:
        shape = self.weight.shape
        self.rows, self.columns = np.zeros(shape[:-1]), np.zeros((*shape[:-2], *shape[-1:]))
        self.full = self.first = np.zeros_like(self.weight)

    def update(self, gradient: Array, lr: float) -> Array:
        options = {"beta2_decay": -0.8, "eps": (1e-30, 1e-3), "clip_threshold": 1.0, "beta1": None} | self.options
        beta2 = 1 - self.t ** options["beta2_decay"]
        square = gradient**2 + options["eps"][0]
        if gradient.ndim >= 2:
            self.rows = beta2 * self.rows + (1 - beta2) * square.sum(-1)
            self.columns = beta2 * self.columns + (1 - beta2) * square.sum(-2)
            total = self.rows.sum(-1)[..., None, None]
            variance = self.rows[..., :, None] * self.columns[..., None, :] / total
        else:
            variance = self.full = beta2 * self.full + (1 - beta2) * square
        update = gradient / np.sqrt(variance)
        update = update / max(1.0, rms(update) / options["clip_threshold"])
        rate = min(lr, 1 / np.sqrt(self.t)) if options.get("relative_step") else lr
        if options.get("scale_parameter"):
            rate *= max(options["eps"][1], rms(self.weight))
        if options["beta1"] is None:
            return rate * update
        self.first = options["beta1"] * self.first + (1 - options["beta1"]) * rate * update
        return self.first


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


PAPERS: dict[str, type[Paper]] = {"adamw": AdamW, "sgd": Sgd, "lion": Lion, "adafactor": Adafactor}
