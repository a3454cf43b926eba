"""The group of processes in a run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.processes.devices import pick_device


class ProcessGroup:
    """A group of cooperating processes. This base class is the group of a single process.

    Every process calls the same methods in the same order, since each waits for the others.

    Attributes:
        rank: number of this process; rank 0 writes.
        world_size: number of processes.
    """

    rank: int = 0
    world_size: int = 1

    def join(self, device: str) -> torch.device:
        """Join the other processes and return the device of this one.

        Args:
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            TPError: the device is missing, or the other processes did not join in time.
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
        """The largest number of all processes, on every process; the device does not wait for it."""
        return number

    def agree(self, flag: bool) -> bool:
        """True if any process raised the flag; every process gets the same answer."""
        return bool(self.maximum(int(flag)))

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; plain Python values and tensors on the CPU."""
        return [value]

    def collect(self, value: Any) -> list[Any]:
        """The values of all processes, by rank, on the first process; an empty list on the others."""
        return [value]

    def from_first(self, value: Any) -> Any:
        """The value of the first process, on every process."""
        return value

    def barrier(self) -> None:
        """Wait for all processes."""

    def state_group(self) -> Any:
        """The torch process group for the exchange while checkpoints are written and read; None for one process.

        It is a group of its own, so that checkpoints may be written while the training goes on.
        """
        return None

    # -- waits and failures ------------------------------------------------------------------------------------

    def limit_waits(self, seconds: float | None) -> None:
        """Limit later waits for other processes to this time; None for no limit."""

    def notify(self) -> None:
        """Tell the other processes that this one has something to agree on; they see it in :meth:`notifications`."""

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
