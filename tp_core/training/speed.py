"""Speed of a run: tokens and samples per second, model FLOPs utilisation, time left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

import torch

from tp_core.interfaces import Batch
from tp_core.spec.schema import Spec

#: Dense peak of known devices in FLOP/s by precision (from data sheets); tf32 is not used for fp32.
PEAKS = {
    "H200": {"bf16": 989e12, "fp16": 989e12, "fp32": 67e12},
    "H100": {"bf16": 989e12, "fp16": 989e12, "fp32": 67e12},
    "A100": {"bf16": 312e12, "fp16": 312e12, "fp32": 19.5e12},
    "L40S": {"bf16": 362e12, "fp16": 362e12, "fp32": 91.6e12},
    "A10": {"bf16": 125e12, "fp16": 125e12, "fp32": 31.2e12},
    "V100": {"fp16": 125e12, "fp32": 15.7e12},
    "T4": {"fp16": 65e12, "fp32": 8.1e12},
}


def peak_of(device: torch.device, precision: str) -> float | None:
    """The device's peak in FLOP/s; None if unknown."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peaks.get(precision) for key, peaks in PEAKS.items() if key in name), None)


class Speed:
    """Counts tokens and time between log lines, without evaluations and checkpoints.

    Args:
        shares: number of processes that divide the samples of a step.
        devices: number of devices that compute.
    """

    def __init__(self, spec: Spec, device: torch.device, shares: int, devices: int) -> None:
        self.spec, self.shares, self.devices = spec, shares, devices
        self.peak = peak_of(device, spec.train.options.precision)
        self.tokens: float = 0
        self.samples: float = 0
        self.steps = 0
        self.began = self.since = time.perf_counter()
        self.rate = 0.0
        self._before = 0.0  # seconds since the last log line, spent before the run was resumed
        self._pause: float | None = None
        self._flops: float | None = None

    def start(self) -> None:
        self.began = time.perf_counter()
        self.since = self.began - self._before

    def count(self, batches: list[Batch]) -> None:
        """Count a step's samples and tokens. Tokens are positions of the input fields; an image counts as one."""
        self.tokens += sum(batch.tokens() for batch in batches)
        self.samples += sum(batch.size for batch in batches)
        self.steps += 1

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self._pause = start = time.perf_counter()
        try:
            yield
        finally:
            self._pause = None
            self.since += time.perf_counter() - start

    def state(self) -> dict[str, float]:
        """The counts since the last log line."""
        seconds = (self._pause or time.perf_counter()) - self.since
        return {"tokens": self.tokens, "samples": self.samples, "steps": self.steps, "seconds": seconds}

    def load(self, states: Sequence[Mapping[str, float]], processes: int = 1) -> None:
        """Continue from the saved counts of all processes (:meth:`state`); call it before :meth:`start`.

        Args:
            processes: number of processes that share the counts from now on.
        """
        self.tokens = sum(state["tokens"] for state in states) / processes
        self.samples = sum(state["samples"] for state in states) / processes
        self.steps = int(max(state["steps"] for state in states))
        self._before = max(state["seconds"] for state in states)

    def read(self) -> dict[str, float]:
        """Rates since the last call.

        ``tokens_per_second`` and ``samples_per_second`` count all processes; ``mfu`` is included if the peak is known.
        """
        now = time.perf_counter()
        passed = max(now - self.since, 1e-9)
        speed = self.tokens * self.shares / passed
        self.rate = passed / max(self.steps, 1)
        found = {"tokens_per_second": speed, "samples_per_second": self.samples * self.shares / passed}
        self.since = now
        self.tokens, self.samples, self.steps = 0, 0, 0
        if self.peak is not None:
            found["mfu"] = speed * self._flops_per_token() / (self.peak * self.devices)
        return found

    def _flops_per_token(self) -> float:
        if self._flops is None:
            from tp_core.cost.pricing import training_flops_per_token

            self._flops = training_flops_per_token(self.spec)
        return self._flops

    def left(self, steps: int) -> float:
        """Seconds for the given number of steps at the current rate."""
        return self.rate * steps
