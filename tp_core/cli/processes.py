"""Commands under torchrun: those that share their work between processes, and those that run in one. Torch-free."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TypeVar

import click

from tp_core.cli.usage import Failure
from tp_core.errors import PeerFailedError, TPError, out_of_memory
from tp_core.inference.processes import Processes, shared, world_size
from tp_core.processes.launch import as_told, under_torchrun

C = TypeVar("C", bound=click.Command)

_SEVERAL = "tp_several_processes"

#: How long a process that has nothing to say gives the one that does. torchrun ends all others when one has ended with
#: an error, and would also end that one.
_LINGER = 10.0


def in_several_processes(command: C) -> C:
    """Declare that a command, or each command of a group, knows what to do when torchrun starts several processes.

    It shares its work (:func:`joined`) or at least writes each file once. Other commands are refused there.
    """
    setattr(command, _SEVERAL, True)
    return command


def need_one_process(name: str, command: click.Command) -> None:
    """Raise a :class:`TPError` where several processes run a command that does not expect it; one of them says so."""
    if world_size() == 1 or getattr(command, _SEVERAL, False):
        return
    message = f"'{name}' runs in one process, and WORLD_SIZE says {world_size()}; call it without torchrun: tp {name}"
    raise as_told(TPError(message))


def told_elsewhere(error: click.ClickException) -> bool:
    """True if another process tells the user of an error."""
    if isinstance(error, Failure):
        return isinstance(error.error, PeerFailedError)
    return isinstance(as_told(TPError(str(error))), PeerFailedError)  # a mistake in the arguments, which all have


def linger() -> None:
    """Wait, under torchrun, until the process that tells the user of an error has done so."""
    if under_torchrun():
        time.sleep(_LINGER)


@contextlib.contextmanager
def joined(model: str) -> Iterator[Processes]:
    """A context in which a command shares its work with those that torchrun has started beside it.

    Without torchrun, it imports nothing. Where memory runs out, that is a :class:`TPError`.

    Args:
        model: the folder of a model, if any; that there is none is said before the processes meet.
    """
    if world_size() > 1:
        from tp_core.artifacts.find import find_model

        try:
            if model:
                find_model(model)
        except TPError as error:
            raise as_told(error) from None
    with shared() as processes:
        try:
            yield processes
        except Exception as error:
            if not out_of_memory(error):
                raise
            first = str(error).partition("\n")[0]
            message = f"memory ran out{f' ({first})' if first else ''}; a smaller --batch-size may help"
            raise TPError(message) from error
