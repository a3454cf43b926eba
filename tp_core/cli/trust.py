"""``--trust-code``: the Python files of a model's folder run only if the user allows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from tp_core.cli.flags import while_running
from tp_core.local.trust import trusted, trusting

F = TypeVar("F", bound=Callable[..., Any])


def trust_code_option(function: F) -> F:
    """Add ``--trust-code`` to a command. If it is given, :func:`tp_core.local.trust.trusted` is true meanwhile."""
    text = "Run the Python files of a model's folder, if its modules need them."
    option: Callable[[F], F] = while_running("--trust-code", trusting, text)
    return option(function)


def trust_of(path: str) -> bool | None:
    """The ``trust_code`` of a spec: None for a file, which is the user's own; the flag's value for a model's folder."""
    return trusted() if os.path.isdir(path) else None
