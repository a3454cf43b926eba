"""A progress bar on the terminal that counts the records that a command has processed. Torch-free."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def counting(what: str, speaks: bool = True, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A context with a progress bar on standard error, if that is a terminal.

    Args:
        what: the name of the work, in one word.
        speaks: True if this process shows a bar.
        total: number of records, if known.

    Yields:
        A function that adds a number of records to the count.
    """
    if not speaks or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")

        def count(more: int) -> None:
            bar.advance(task, more)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.1f}/s" if speed else "")

        yield count
