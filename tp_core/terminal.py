"""Text for a terminal: what comes from data, files' names and metadata cannot control it. Torch-free."""

from __future__ import annotations

import re

#: Control characters but tab and line feed, and those that change the direction of the text around them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""The text with control characters written as escapes, such as ``\u001b``, which JSON reads as the same text."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def tell(text: str, err: bool = False) -> None:
    """Print a line, or several, on standard output or standard error.

    Raises:
        OSError: the stream is closed.
    """
    import click

    click.echo(printable(text), err=err)
