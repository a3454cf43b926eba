"""Signals that end a process are raised as an exception, so that cleanup code runs. Torch-free."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence

#: Asks a run to save and continue. It has no effect if there is nothing to save.
SAVE = "SIGUSR1"


def heard_signals(*names: str) -> Iterator[int]:
    """The numbers of those signals that exist on this system and are not ignored."""
    for name in names:
        number = getattr(signal, name, None)  # Windows has only two of them
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            yield number


#: Signals that a command or a run handles.
_HEARD = ("SIGTERM", "SIGHUP", "SIGINT", SAVE)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """A context that delays Python's signal handling until its end.

    It is used around forks. Exceptions of a handler are printed and lost while Python prepares a fork, and a child must
    not take signals that are meant for its parent.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in heard_signals(*_HEARD)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


@contextlib.contextmanager
def left_on_signals(unheard: Sequence[str] = ()) -> Iterator[None]:
    """A context in which SIGTERM and SIGHUP raise an exception, so that ``finally`` blocks run.

    Args:
        unheard: signals to ignore inside it, such as SIGUSR1 while there is nothing to save yet.

    Raises:
        SystemExit: with the exit status that shells report for a process ended by a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in heard_signals("SIGTERM", "SIGHUP")}
    before |= {number: signal.signal(number, lambda *_: None) for number in heard_signals(*unheard)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
