"""Options and files that the commands on trained models share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tp_core.errors import TPError

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
    from tp_core.data.sources_find import HUB

    if not path.startswith(HUB) and not os.path.exists(path):
        raise TPError(f"{path}: there is no such file")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise TPError(f"{path}: the file is empty")
    for record in read_records([path], columns):
        if set(record.value) != {"text"} or str(record.value["text"]).strip():
            yield record


def refuse_existing(output: str, overwrite: bool) -> Path:
    """The output path, unless a file is there that nobody asked to replace."""
    path = Path(output)
    if path.exists() and not overwrite:
        raise TPError(f"{path}: the file exists; --overwrite replaces it")
    if not path.parent.is_dir():
        raise TPError(f"{path.parent}: there is no such folder")
    return path


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
