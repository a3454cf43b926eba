"""Helpers that the commands share: examples in help texts, ``--traceback``, and errors that end a command."""

from __future__ import annotations

from typing import IO, Any

import click

from tp_core.errors import PeerFailedError, TPError
from tp_core.terminal import printable


def examples(*lines: str) -> str:
    """The ``epilog`` of a command: examples that keep their line breaks in the help text."""
    # click does not wrap a paragraph that begins with a backspace.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def answered(error: click.NoSuchOption) -> click.NoSuchOption:
    """Add the corresponding option of the command or of specs to the error about an option of another toolkit."""
    from tp_core.spec.hints.key_hints import of_specs
    from tp_core.spec.hints.value_hints import meant

    word = error.option_name.lstrip("-")
    parameters = error.ctx.command.params if error.ctx is not None else []
    names = {str(each.name): each.opts[0] for each in parameters if isinstance(each, click.Option)}
    if found := meant(word, names):
        error.possibilities = [names[found]]  # type: ignore[misc]
    elif any(each.name == "overrides" for each in parameters) and (said := of_specs(word)):
        message = f"{error.message} Settings of a spec are written KEY=VALUE: {said}."
        return click.NoSuchOption(error.option_name, message, ctx=error.ctx)
    return error


#: Key of the option's value in ``click.Context.meta``.
_TRACEBACK = "tp.traceback"


def traceback_option() -> click.Option:
    """The option ``--traceback``, which every command has."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[_TRACEBACK] = True

    help_text = "Print the traceback of an error, for bug reports."
    return click.Option(["--traceback"], is_flag=True, expose_value=False, callback=remember, help=help_text)


def tracebacks() -> bool:
    """True if the user asks for the tracebacks of errors."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_TRACEBACK))


def _trace(error: TPError) -> str:
    """The traceback of an error; if the error comes from another process, the traceback there."""
    import traceback

    return str(getattr(error, "trace", "")) or "".join(traceback.format_exception(error))


class CommandError(click.ClickException):
    """A user's error that ends a command: the message on stderr, exit status 2."""

    exit_code = 2

    def __init__(self, error: TPError) -> None:
        super().__init__(printable(str(error)))
        self.error = error
        self.trace = _trace(error) if tracebacks() else ""
        # The problems of a spec begin with ``file:line:column``, which editors and terminals recognise only at the
        # beginning of a line. Any other message begins with the word "error".
        self.placed = bool(getattr(error, "problems", None))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message; with ``--traceback``, print the traceback before it."""
        if isinstance(self.error, PeerFailedError):
            return
        if self.trace:
            click.echo(printable(self.trace), file=file, err=file is None)
        click.echo(self.message if self.placed else f"error: {self.message}", file=file, err=file is None)
