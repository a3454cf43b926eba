"""The contracts of a command."""

from __future__ import annotations

import click
from click.testing import CliRunner

from tp_core import discovery
from tp_core.errors import TPError


def check(name: str) -> None:
    """Check that a command is a click command, has a description and shows its help."""
    try:
        command = discovery.load(discovery.index().find("commands", name))
    except TPError as error:
        raise AssertionError(str(error)) from None
    assert isinstance(command, click.Command), f"it is a {type(command).__name__}; expected a click command"
    assert command.get_short_help_str(), "it has no docstring; 'tp --help' shows the first line of the docstring"
    shown = CliRunner().invoke(command, ["--help"])
    assert shown.exit_code == 0, f"--help exits with status {shown.exit_code}: {shown.exception!r}"
