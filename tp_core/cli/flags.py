"""Flags that switch something on while a command runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def while_running(name: str, switch: Callable[[], AbstractContextManager[None]], help: str) -> Callable[[F], F]:
    """A flag that passes no argument to the command. If it is given, the command runs inside a context."""

    def enter(ctx: click.Context, param: click.Parameter, given: bool) -> None:
        if given:
            ctx.with_resource(switch())

    return click.option(name, is_flag=True, expose_value=False, is_eager=True, callback=enter, help=help)
