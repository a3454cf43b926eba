"""Handling of third-party code: its printed output, and its exceptions that must not be caught."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

#: Prefix of the module names of local files (:mod:`tp_core.local`).
LOCAL = "tp_core.local.f"


@contextlib.contextmanager
def printing_apart() -> Iterator[None]:
    """A context that redirects printed output to stderr, as stdout is for results that programs read."""
    if sys.stderr is None:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def interrupts(error: BaseException) -> bool:
    """True for exceptions that must end a command: Ctrl-C, and the exits of our signal handlers."""
    if isinstance(error, KeyboardInterrupt):
        return True
    if not isinstance(error, (SystemExit, GeneratorExit)):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_by = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return raised_by.startswith("tp_core.") and not raised_by.startswith(LOCAL)
