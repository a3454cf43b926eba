"""The processes of a run, as one of them sees the others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.processes.devices import pick_device


class ProcessGroup:
    """The processes that work together; this class is that of a process alone.

    Every process calls the same methods in the same order, as each waits for the others.

    Attributes:
        rank: number of this process; rank 0 writes.
        world_size: number of processes.
    """

    rank: int = 0
    world_size: int = 1

    def join(self, device: str) -> torch.device:
        """Join the other processes; gives back the device of this one.

        Args:
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            TPError: the device is not there, or the other processes did not come.
        """
        return pick_device(device)

    def leave(self) -> None:
        """Leave the other processes."""

    # -- values ------------------------------------------------------------------------------------------------

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum over processes, in place."""
        return values

    def broadcast(self, values: Tensor) -> None:
        """Give all processes the values of the first one, in place."""

    def maximum(self, number: int) -> int:
        """The largest of all processes' numbers, on every process; the device does not wait for it."""
        return number

    def agree(self, flag: bool) -> bool:
        """True if any process raised the flag; every process gets the same answer."""
        return bool(self.maximum(int(flag)))

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in their order; plain Python values and tensors on the CPU."""
        return [value]

    def collect(self, value: Any) -> list[Any]:
        """The values of all processes, in their order, on the first process; nothing on the others."""
        return [value]

    def from_first(self, value: Any) -> Any:
        """The value of the first process, on every process."""
        return value

    def barrier(self) -> None:
        """Wait for all processes."""

    # -- waits and failures ------------------------------------------------------------------------------------

    def limit_waits(self, seconds: float | None) -> None:
        """From here on, wait for other processes no longer than this; None for as long as it takes."""

    def notify(self) -> None:
        """Let the other processes know that this one has something to agree on; they ask :meth:`notifications`."""

    def notifications(self) -> int:
        """The number of notifications from all processes since :meth:`join`."""
        return 0

    def first_to_fail(self) -> bool:
        """True if no other process has failed before; the first one to fail reports the error."""
        return True

    def is_peer_loss(self, error: BaseException) -> bool:
        """True for an error that only reports that another process ended."""
        return False

    def timeout_message(self, error: BaseException) -> str:
        """The message for an error that reports that other processes did not come in time; else empty."""
        return ""
