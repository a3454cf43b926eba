"""``--verify``: what is kept is read and compared with its digest, also where it has not changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tp_core.manifest import verifying

F = TypeVar("F", bound=Callable[..., Any])


def verify_option(function: F) -> F:
    """Give a command the option; while the command runs, :func:`tp_core.manifest.verifying` is on if it was given."""
    option: Callable[[F], F] = click.option(
        "--verify",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_verify,
        help="Read prepared data and models anew and compare their digests, also where sizes and times are as before.",
    )
    return option(function)


def _verify(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    if given:
        ctx.with_resource(verifying())
