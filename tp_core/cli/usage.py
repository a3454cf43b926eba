"""Helpers that the commands share: examples in help texts, ``--traceback``, and errors that end a command."""

from __future__ import annotations

from typing import IO, Any

import click

from tp_core.errors import PeerFailedError, TPError
from tp_core.terminal import printable


def examples(*lines: str) -> str:
    """The ``epilog`` of a command: examples that keep their line breaks in the help text."""
    # click leaves the lines of a paragraph alone when the paragraph begins with a backspace.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def answered(error: click.NoSuchOption) -> click.NoSuchOption:
    """An unknown option with what other toolkits mean by it, where that is an option of the command or of specs."""
    from tp_core.spec.hints.key_hints import of_specs
    from tp_core.spec.hints.words import meant

    word = error.option_name.lstrip("-")
    parameters = error.ctx.command.params if error.ctx is not None else []
    names = {str(each.name): each.opts[0] for each in parameters if isinstance(each, click.Option)}
    if found := meant(word, names):
        error.possibilities = [names[found]]  # type: ignore[misc]
    elif any(each.name == "overrides" for each in parameters) and (said := of_specs(word)):
        message = f"{error.message} Settings of a spec are written KEY=VALUE: {said}."
        return click.NoSuchOption(error.option_name, message, ctx=error.ctx)
    return error


#: The option's name among what commands share (``click.Context.meta``).
_TRACEBACK = "tp.traceback"


def traceback_option() -> click.Option:
    """The option ``--traceback``, which every command has."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[_TRACEBACK] = True

    help_text = "With an error, print the traceback, which a report needs."
    return click.Option(["--traceback"], is_flag=True, expose_value=False, callback=remember, help=help_text)


def tracebacks() -> bool:
    """True where the user asks for the tracebacks of errors."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_TRACEBACK))


def _trace(error: TPError) -> str:
    """The traceback of an error; that of the other process if the error comes from one."""
    import traceback

    return str(getattr(error, "trace", "")) or "".join(traceback.format_exception(error))


class Failure(click.ClickException):
    """A user's error on its way out of a command: the message on stderr, exit status 2."""

    exit_code = 2

    def __init__(self, error: TPError) -> None:
        super().__init__(printable(str(error)))
        self.error = error
        self.trace = _trace(error) if tracebacks() else ""
        # The problems of a spec begin with ``file:line:column``, which editors and terminals recognise at the
        # beginning of a line only; any other message needs a word that says what it is.
        self.placed = bool(getattr(error, "problems", None))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, and before it, where ``--traceback`` asks for it, where the error came from."""
        if isinstance(self.error, PeerFailedError):
            return
        if self.trace:
            click.echo(printable(self.trace), file=file, err=file is None)
        click.echo(self.message if self.placed else f"error: {self.message}", file=file, err=file is None)
