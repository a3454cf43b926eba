"""``--verify``: compare stored data and models with their digests, even if they seem unchanged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tp_core.cli.flags import while_running

F = TypeVar("F", bound=Callable[..., Any])


def verify_option(function: F) -> F:
    """Add ``--verify`` to a command; if it is given, :func:`tp_core.data.cache.manifest.verifying` is on."""
    text = "Read prepared data and models and compare their digests, even if sizes and times have not changed."
    option: Callable[[F], F] = while_running("--verify", _verifying, text)
    return option(function)


def _verifying() -> AbstractContextManager[None]:
    from tp_core.data.cache.manifest import verifying  # not needed by tp modules, which imports this file

    return verifying()
