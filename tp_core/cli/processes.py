"""Commands under torchrun: some share their work between processes, others run in one process only. Torch-free."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TypeVar

import click

from tp_core.cli.usage import CommandError
from tp_core.errors import PeerFailedError, TPError, out_of_memory
from tp_core.processes.launch import start_error, under_torchrun
from tp_core.processes.shared import Processes, shared, world_size

C = TypeVar("C", bound=click.Command)

_SEVERAL = "tp_several_processes"

#: Seconds that a process waits after an error that another process reports. torchrun ends all processes when one has
#: ended with an error; without the wait, it could end the reporting process too early.
_LINGER = 10.0


def in_several_processes(command: C) -> C:
    """Declare that a command, or each command of a group, supports several processes of torchrun.

    Such a command shares its work (:func:`joined`) or at least writes each file once. Other commands end with an error
    under torchrun.
    """
    setattr(command, _SEVERAL, True)
    return command


def need_one_process(name: str, command: click.Command) -> None:
    """Raise a :class:`TPError` if several processes run a command that does not support it. One process reports it."""
    if world_size() == 1 or getattr(command, _SEVERAL, False):
        return
    message = f"'{name}' runs in one process, and WORLD_SIZE says {world_size()}; call it without torchrun: tp {name}"
    raise start_error(TPError(message))


def told_elsewhere(error: click.ClickException) -> bool:
    """True if another process reports an error to the user."""
    if isinstance(error, CommandError):
        return isinstance(error.error, PeerFailedError)
    return isinstance(start_error(TPError(str(error))), PeerFailedError)  # all processes have the same wrong arguments


def linger() -> None:
    """Wait, under torchrun, until the process that reports an error has done so."""
    if under_torchrun():
        time.sleep(_LINGER)


@contextlib.contextmanager
def joined(*models: str) -> Iterator[Processes]:
    """A context in which a command shares its work with the other processes of torchrun.

    Without torchrun, it imports nothing. Running out of memory becomes a :class:`TPError`.

    Args:
        models: the folders of models, if any. If one does not exist, the error is raised before the processes connect.
    """
    if world_size() > 1:
        from tp_core.artifacts.find import find_model

        try:
            for model in filter(None, models):
                find_model(model)
        except TPError as error:
            raise start_error(error) from None
    with shared() as processes:
        try:
            yield processes
        except Exception as error:
            if not out_of_memory(error):
                raise
            first = str(error).partition("\n")[0]
            message = f"memory ran out{f' ({first})' if first else ''}; a smaller --batch-size may help"
            raise TPError(message) from error
