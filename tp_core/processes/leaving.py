"""Signals that end a process leave it as an exception does, so that what it has begun is cleaned up. Torch-free."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence

#: Asks a run to save and to go on; where there is nothing to save, it changes nothing.
SAVE = "SIGUSR1"


def heard_signals(*names: str) -> Iterator[int]:
    """The numbers of signals that this system has and that are not to be ignored."""
    for name in names:
        number = getattr(signal, name, None)  # Windows has two of them
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            yield number


#: Signals that a command or a run hears.
_HEARD = ("SIGTERM", "SIGHUP", "SIGINT", SAVE)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """A context behind which Python does what signals inside it ask for.

    For forks: what a handler raises while Python prepares one is printed and lost, and a child must not take what is
    meant for its parent.
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
    """A context that SIGTERM and SIGHUP leave as an exception, so that what stands in ``finally`` is done.

    Args:
        unheard: signals that change nothing in it, such as SIGUSR1 where there is nothing to save yet.

    Raises:
        SystemExit: with the status that shells give to a process that a signal has ended.
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
