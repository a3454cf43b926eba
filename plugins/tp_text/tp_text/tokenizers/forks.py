"""Keep the Rust library quiet when a process that has used its threads forks."""

from __future__ import annotations

import functools
import os

_VARIABLE = "TOKENIZERS_PARALLELISM"


@functools.cache
def silence_fork_warning() -> None:
    """Let forked children encode in one thread and without a warning, while this process keeps its threads.

    The library's threads do not survive a fork, and it says so on standard error unless the variable is set.
    So the variable is set for the child, around the fork only. A value that the user chose is left alone.
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
