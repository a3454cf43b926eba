"""The place of a process in its group, from torchrun's environment variables. Torch-free."""

from __future__ import annotations

import atexit
import os
import socket
import time
from datetime import timedelta
from typing import Any, NamedTuple

from tp_core.errors import PeerFailedError, TPError

#: Variables that make a process one of several.
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_LONELY = f"to work in one process, unset {', '.join(VARIABLES)}"

#: Seconds that a process which failed at its start looks for the others, to learn if one of them reports the error.
_SEARCH = 3.0
_FAILURES = "tp/start/failures"


class Launch(NamedTuple):
    """The place of a process.

    Attributes:
        rank: index of the process, from 0.
        local_rank: index of the process on its machine.
        world_size: number of processes.
        meeting: rendezvous address, ``host:port``; empty for a single process.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    meeting: str = ""


def launch() -> Launch:
    """Read the environment. An empty variable counts as unset.

    Without WORLD_SIZE, the process is alone. The other variables are then ignored as leftovers.

    Raises:
        TPError: a variable has an invalid value, or one is missing.
    """
    world_size = _number("WORLD_SIZE", 1)
    rank, local_rank = _number("RANK", 0), _number("LOCAL_RANK", 0)
    if world_size is None:
        return Launch()
    for name, value in (("RANK", rank), ("LOCAL_RANK", local_rank)):
        if value is not None and value >= world_size:
            raise TPError(f"{name} is {value}, and must be less than WORLD_SIZE, {world_size}; {_LONELY}")
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not _value(name)]
    if missing and world_size > 1:
        others = " and ".join(missing)
        raise TPError(
            f"WORLD_SIZE says that this is one of {world_size} processes, and {others} "
            f"{'is' if len(missing) == 1 else 'are'} not set, as torchrun would; {_LONELY}"
        )
    if not missing:
        _number("MASTER_PORT", 1, 65535)
    meeting = "" if missing else f"{_value('MASTER_ADDR')}:{_value('MASTER_PORT')}"
    return Launch(rank or 0, local_rank or 0, world_size, meeting)


def _value(name: str) -> str:
    return os.environ.get(name, "").strip()


def _number(name: str, least: int, most: int | None = None) -> int | None:
    value = _value(name)
    if not value:
        return None
    if not (value.isascii() and value.isdecimal()) or int(value) < least or (most is not None and int(value) > most):
        bounds = f"from {least} to {most}" if most is not None else f"of {least} or more"
        raise TPError(f"the environment variable {name} is '{value}'; expected an integer {bounds}; {_LONELY}")
    return int(value)


def under_torchrun() -> bool:
    """True if torchrun supervises this process. It passes signals on, and ends all processes when one fails."""
    return bool(_value("TORCHELASTIC_RUN_ID"))


def keeps_store(here: Launch) -> bool:
    """True if this process hosts the store at which the processes join. Under torchrun, torchrun hosts it."""
    return here.rank == 0 and _value("TORCHELASTIC_USE_AGENT_STORE") != "True"


def unreachable(here: Launch, seconds: float) -> str:
    """Wait until the processes can join; returns the reason if they cannot within the time, else an empty string.

    The host of the store may start later than this process.
    """
    host, _, port = here.meeting.rpartition(":")
    until = time.monotonic() + seconds
    while True:
        try:
            # Connect with a plain socket: torch would print long stack traces.
            socket.create_connection((host, int(port)), timeout=max(0.1, until - time.monotonic())).close()
            return ""
        except OSError as error:
            if time.monotonic() > until:
                return error.strerror or str(error)
        time.sleep(0.1)


def start_error(error: TPError) -> TPError:
    """The error to raise on this process before it has joined the others. Only the first process that failed reports.

    If no other process answers, this process reports, since the environment variables may be leftovers.
    """
    return error if _first_to_fail() else PeerFailedError(str(error))


def _first_to_fail() -> bool:
    try:
        here = launch()
        if here.world_size == 1:
            return True
        keeps = keeps_store(here)
        if not keeps and unreachable(here, _SEARCH):
            return True
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        host, _, port = here.meeting.rpartition(":")
        store = TCPStore(host, int(port), None, keeps, timedelta(seconds=_SEARCH), wait_for_workers=False)
        first = int(store.add(_FAILURES, 1)) == 1
    except (TPError, RuntimeError):  # nobody answers
        return True
    if keeps:
        # The other processes ask this one, so it waits for them after reporting.
        atexit.register(_wait_for, store, here.world_size)
    return first


def _wait_for(store: Any, count: int) -> None:
    until = time.monotonic() + _SEARCH
    while int(store.add(_FAILURES, 0)) < count and time.monotonic() < until:
        time.sleep(0.05)
