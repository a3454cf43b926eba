"""What the commands share: examples in their help texts, and how a user's error ends a command."""

from __future__ import annotations

from typing import IO, Any

import click

from tp_core.errors import EndedElsewhere, TPError


def examples(*lines: str) -> str:
    """The ``epilog`` of a command: examples that keep their line breaks in the help text."""
    # click leaves the lines of a paragraph alone when the paragraph begins with a backspace.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class Failure(click.ClickException):
    """A user's error on its way out of a command: the message on stderr, exit status 2."""

    exit_code = 2

    def __init__(self, error: TPError) -> None:
        super().__init__(str(error))
        self.error = error
        # The problems of a spec begin with ``file:line:column``, which editors and terminals recognise at the
        # beginning of a line only; any other message needs a word that says what it is.
        self.placed = bool(getattr(error, "problems", None))

    def show(self, file: IO[Any] | None = None) -> None:
        if isinstance(self.error, EndedElsewhere):
            return
        click.echo(self.message if self.placed else f"error: {self.message}", file=file, err=file is None)
