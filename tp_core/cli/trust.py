"""``--trust-code``: the Python files of a model's folder run only where the user says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from tp_core.cli.flags import while_running
from tp_core.local.trust import trusted, trusting

F = TypeVar("F", bound=Callable[..., Any])


def trust_code_option(function: F) -> F:
    """Give a command the option; while the command runs, :func:`tp_core.local.trust.trusted` says if it was given."""
    text = "Run the Python files of a model's folder, where its modules are in such files."
    option: Callable[[F], F] = while_running("--trust-code", trusting, text)
    return option(function)


def trust_of(path: str) -> bool | None:
    """The ``trust_code`` of a spec: a file is the user's own, and a folder is that of a model."""
    return trusted() if os.path.isdir(path) else None
