"""Joining of a run's processes at its start."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from tp_core.errors import PeerFailedError, TPError
from tp_core.processes.launch import VARIABLES, Launch, keeps_store, unreachable
from tp_core.processes.waits import heard

#: Numbers of this process's runs. The store outlives a run, so each run needs separate keys.
_runs = itertools.count()


def joined_store(here: Launch, seconds: float, option: str) -> Any:
    """The store that all processes of a run share, once all of them have joined.

    Args:
        seconds: maximum time to wait for the others.
        option: name of the option with this time, for messages; empty if there is none.

    Raises:
        TPError: other processes did not join in time.
    """
    limit, wait = f"{seconds:g} s" + (f" ({option})" if option else ""), timedelta(seconds=seconds)
    if not keeps_store(here) and (reason := unreachable(here, seconds)):
        raise _alone(here, limit, f"nothing answers there: {reason}")
    try:
        store = heard(lambda: _met(here, wait))
    except (RuntimeError, ValueError) as error:
        raise _alone(here, limit, f"they did not meet: {str(error).splitlines()[0].rstrip('.')}") from error
    store = dist.PrefixStore(f"tp/{next(_runs)}", store)  # type: ignore[attr-defined]
    places = [f"here/{rank}" for rank in range(here.world_size)]
    store.set(places[here.rank], "")
    try:
        heard(lambda: store.wait(places, wait))
    except RuntimeError as error:
        raise _left_waiting(here, limit, store, places) from error
    return store


def _met(here: Launch, wait: timedelta) -> Any:
    store, _, _ = next(iter(dist.rendezvous("env://", here.rank, here.world_size, timeout=wait)))  # type: ignore[attr-defined]
    return store


def _left_waiting(here: Launch, limit: str, store: Any, places: list[str]) -> TPError:
    try:
        absent = [str(rank) for rank, place in enumerate(places) if not store.check([place])]
        first = int(store.add("left waiting", 1)) == 1
    except RuntimeError:
        return _alone(here, limit, "the one that keeps the list of them is gone")
    error = _alone(here, limit, f"number {' and '.join(absent)} did not come")
    return error if first else PeerFailedError(str(error))


def _alone(here: Launch, limit: str, found: str) -> TPError:
    return TPError(
        f"WORLD_SIZE says that there are {here.world_size} processes, and this is number {here.rank}. They meet at "
        f"{here.meeting}, and within {limit} {found}. "
        f"To work in one process, unset {', '.join(VARIABLES)}"
    )
