"""The interface of strategies, by which the trainer spreads a model over processes and devices."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.model import Model, ModelOutput


class Strategy(ABC):
    """One per run. The trainer calls ``setup`` first and ``teardown`` last.

    Attributes:
        rank: number of this process; rank 0 writes.
        world_size: number of processes.
        device: where this process computes.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device

    @abstractmethod
    def setup(self, device: str) -> None:
        """Join the other processes. ``device`` is ``auto``, ``cpu`` or ``cuda``."""

    @abstractmethod
    def wrap(self, model: Model) -> nn.Module:
        """The module whose call trains ``model``."""

    def forward(self, module: nn.Module, batch: Any, denominators: dict[str, Tensor] | None) -> ModelOutput:
        """The output of what :meth:`wrap` gave; its loss is the one to call ``backward`` on."""
        output: ModelOutput = module(batch, denominators)
        return output

    def forward_backward(
        self, module: nn.Module, batch: Any, denominators: dict[str, Tensor] | None, last: bool, scale: Tensor | None
    ) -> ModelOutput:
        """One micro-batch: forward and backward; gradients add up, over processes once ``last`` is true.

        Args:
            scale: factor of the loss for half-precision gradients, or None.
        """
        with contextlib.nullcontext() if last else self.no_sync(module):
            output = self.forward(module, batch, denominators)
            loss = output.loss * self.world_size if self.world_size > 1 else output.loss
            scaled = loss if scale is None else loss * scale
            scaled.backward()  # type: ignore[no-untyped-call]
        return output

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """A context in which gradients stay on their process."""
        return contextlib.nullcontext()

    def gradient_norm(self, parameters: list[nn.Parameter]) -> Tensor:
        """Norm of all gradients, a scalar on the device."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum over processes, in place."""
        return values

    def most(self, number: int) -> int:
        """The largest of all processes' numbers, on every process; the device does not wait for it."""
        return number

    def sync_buffers(self, model: Model) -> None:
        """Give all processes the buffers of the first one, such as statistics that each takes of its own share."""

    def agree(self, flag: bool) -> bool:
        """True if any process raised the flag; every process gets the same answer."""
        return bool(self.most(int(flag)))

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in their order; plain Python values and tensors on the CPU."""
        return [value]

    def collect(self, value: Any) -> list[Any]:
        """The values of all processes, in their order, on the first process; nothing on the others."""
        return [value]

    def from_first(self, value: Any) -> Any:
        """The value of the first process, on every process."""
        return value

    def first_to_fail(self) -> bool:
        """True if no other process has failed before; the first one to fail reports the error."""
        return True

    def lost(self, error: BaseException) -> bool:
        """True for an error that only says that another process is gone."""
        return False

    def stalled(self, error: BaseException) -> str:
        """The message for an error that says that other processes did not come in time; else empty."""
        return ""

    def call(self) -> None:
        """Let the other processes know that this one has something to agree on; they look with :meth:`calls`."""

    def calls(self) -> int:
        """The number of calls from all processes since :meth:`setup`."""
        return 0

    def limit_waits(self, seconds: float | None) -> None:
        """From here on, wait for other processes no longer than this; None for as long as it takes."""

    def barrier(self) -> None:
        """Wait for all processes."""

    def teardown(self) -> None:
        """Leave the other processes."""

    # -- checkpoint protocol: full state on rank 0 is enough while every process holds all of it ----------------

    def model_state(self, model: Model) -> dict[str, Tensor]:
        """Weights by name, for rank 0 to write."""
        return model.weights()

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        return optimizer.state_dict()

    def load_optimizer_state(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        optimizer.load_state_dict(state)


def pick_device(wanted: str, local_rank: int = 0) -> torch.device:
    """The device a spec asks for.

    Raises:
        TPError: there is no such kind of device; or CUDA is asked for and is not there, or has no device for this
            process.
    """
    wanted = str(wanted)  # also torch's own name of it
    if wanted not in ("auto", "cpu", "cuda"):
        raise TPError(f"device: expected auto, cpu or cuda, got '{wanted}'")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise TPError("device: cuda is asked for, and torch finds no CUDA device")
    if wanted == "cpu" or not available:
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise TPError(f"LOCAL_RANK is {local_rank}, and this machine has {count} CUDA device{'s' if count > 1 else ''}")
    return torch.device("cuda", local_rank)
