"""Options and files that the commands on trained models share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from tp_core.errors import TPError
from tp_core.inference.processes import Processes, world_size

if TYPE_CHECKING:
    from tp_core.interfaces import Record

F = Callable[..., Any]


def model_options(function: F) -> F:
    """``--batch-size``, ``--device``, ``--column`` and ``--data-set``."""
    for option in (
        click.option("--data-set", metavar="NAME", help="Which of several data sets; the first if not given."),
        click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1)),
        click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"])),
        click.option(
            "--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Read a field from another column."
        ),
    ):
        function = option(function)
    return function


def parse_columns(pairs: tuple[str, ...]) -> dict[str, str]:
    """``FIELD=COLUMN`` settings as a mapping."""
    columns = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals:
            raise TPError(f"--column {pair}: expected FIELD=COLUMN, for example --column text_a=review")
        columns[name] = column
    return columns


def input_records(path: str, columns: dict[str, str]) -> Iterator[Record]:
    """The records of an input file or of a data set of the hub; blank lines of a plain text are no records."""
    from tp_core.data.records import read_records

    need_input(path)
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise TPError(f"{path}: the file is empty")
    for record in read_records([path], columns):
        if set(record.value) != {"text"} or str(record.value["text"]).strip():
            yield record


def need_input(path: str) -> None:
    """Raise a :class:`TPError` where there is no such input, or each of several processes would read a part of it."""
    if path.startswith("hf://"):
        return
    if not os.path.exists(path):
        raise TPError(f"{path}: there is no such file")
    if world_size() > 1 and not os.path.isfile(path) and not os.path.isdir(path):
        raise TPError(f"{path}: several processes cannot share what is read once only; write it to a file first")


def skipped(errors: list[str], count: int) -> str:
    """What is said at the end of records that the spec has skipped; nothing where there were none."""
    if not errors:
        return ""
    return "\n".join([f"; {len(errors)} of {count} records could not be used:", *shown(errors)])


def shown(errors: list[str]) -> list[str]:
    """The first ten of many lines, and how many there are besides."""
    more = [f"  ... and {len(errors) - 10} more"] if len(errors) > 10 else []
    return [*(f"  {error}" for error in errors[:10]), *more]


def say(message: str) -> None:
    click.echo(message, err=True)


def speaker(processes: Processes) -> Callable[[str], None]:
    """:func:`say` for the first of several processes; the others say nothing."""
    return say if processes.first else lambda _: None
