"""``--nproc``: run a command in several processes on this machine."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from tp_core.errors import TPError
from tp_core.processes.launch import launch

#: Key of ``Context.meta``: the command and its arguments, as they were given.
ARGUMENTS = "tp_core.arguments"

_OPTION = "--nproc"


class _Count(click.ParamType[int | str]):
    name = "count"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if str(value) == "auto":
            return "auto"
        if not str(value).isdecimal() or not int(value):
            self.fail(f"expected a number of processes, or auto for one on each GPU; got '{value}'", param, ctx)
        return int(value)


nproc_option = click.option(
    _OPTION,
    type=_Count(),
    metavar="N",
    help="Start N processes on this machine, one for each of its GPUs, or auto for all GPUs. torchrun and other "
    "launchers start processes on several machines.",
)


def run_here(count: int | str) -> NoReturn:
    """Run the current command in several processes, and exit with their status.

    Raises:
        TPError: this is one of several processes already, or there are fewer GPUs than processes.
    """
    here = launch()
    if here.meeting:
        raise TPError(
            f"{_OPTION} starts processes, and this is one of {here.world_size} already, as WORLD_SIZE says; leave one "
            "of the two out"
        )
    import torch

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = max(1, devices) if count == "auto" else int(count)
    from tp_core.processes.launcher import run_processes

    given: list[str] = click.get_current_context().meta[ARGUMENTS]
    sys.exit(run_processes(without_option(given), number))


def without_option(arguments: list[str]) -> list[str]:
    """Arguments without ``--nproc`` and its value."""
    kept, skip = [], False
    for each in arguments:
        if skip:
            skip = False
        elif each == _OPTION:
            skip = True
        elif not each.startswith(f"{_OPTION}="):
            kept.append(each)
    return kept
