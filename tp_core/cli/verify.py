"""``--verify``: what is kept is read and compared with its digest, also where it has not changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tp_core.cli.flags import while_running

F = TypeVar("F", bound=Callable[..., Any])


def verify_option(function: F) -> F:
    """Add ``--verify`` to a command; if it is given, :func:`tp_core.artifacts.manifest.verifying` is on."""
    text = "Read prepared data and models anew and compare their digests, also where sizes and times are as before."
    option: Callable[[F], F] = while_running("--verify", _verifying, text)
    return option(function)


def _verifying() -> AbstractContextManager[None]:
    from tp_core.artifacts.manifest import verifying  # the list of modules loads this file, and computes no digest

    return verifying()
