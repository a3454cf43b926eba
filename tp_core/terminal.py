"""Safe text output: text from data, file names and metadata cannot control the terminal. Torch-free."""

from __future__ import annotations

import os
import re
from typing import TextIO

#: The beginning of a message that must be seen.
WARNING = "WARNING: "

#: Control characters except tab and line feed, and characters that change the direction of text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""The text with control characters escaped, such as ``\u001b``; JSON reads the escape as the same character."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def tell(text: str, err: bool = False) -> None:
    """Print text on standard output or standard error.

    Raises:
        OSError: the stream is closed.
    """
    import click

    click.echo(printable(text), err=err)


def emphasised(text: str, stream: TextIO) -> str:
    """A printable message, whose first line is bold and yellow if it is a warning and the stream is a terminal."""
    if not text.startswith(WARNING) or os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    import click

    head, newline, rest = text.partition("\n")
    return click.style(head, fg="yellow", bold=True) + newline + rest
