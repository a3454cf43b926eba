"""Suppression of the Rust library's warning when a process that has used its threads forks."""

from __future__ import annotations

import functools
import os

_VARIABLE = "TOKENIZERS_PARALLELISM"


@functools.cache
def silence_fork_warning() -> None:
    """Let forked child processes encode in one thread and without a warning; this process keeps its threads.

    The library's threads do not survive a fork. It warns about that on standard error unless an environment variable is
    set. So the variable is set during the fork, for the child only. A value that the user has set is not changed.
    """
    ours = False

    def before() -> None:
        nonlocal ours
        ours = _VARIABLE not in os.environ
        if ours:
            os.environ[_VARIABLE] = "false"

    def after_in_parent() -> None:
        if ours:
            os.environ.pop(_VARIABLE, None)

    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(before=before, after_in_parent=after_in_parent)
