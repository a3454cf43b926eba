"""Waiting for batches with a time limit, with reports of failed workers, and with the end of all workers."""

from __future__ import annotations

import contextlib
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from tp_core.data.sampling.portions import EvaluationBatch
from tp_core.errors import TPError
from tp_core.interfaces import Batch

#: Maximum time in seconds for workers to end by themselves.
_GRACE = 1.0

#: State letters in ``/proc`` of a process that does not run, and their meanings.
_STATES = {"T": "it is stopped", "D": "it waits for a disk or a network", "Z": "it has ended"}


class _Expired(KeyboardInterrupt):
    """The alarm of :func:`time_limit`. As a KeyboardInterrupt, it is not caught by other code or attributed to it."""


class BatchTimeoutError(Exception):
    """The limit of :func:`time_limit` has passed."""


@dataclass(frozen=True)
class Patience:
    """The limit of a process's wait for its next batch.

    Attributes:
        seconds: the limit; None for no limit.
        rank: rank of the process, for messages.
    """

    seconds: float | None = None
    rank: int = 0

    def stalled(self, workers: int, number: int, pid: int | None) -> TPError:
        """The error when the limit has passed.

        Args:
            workers: number of workers that prepare batches.
            number: number of the worker whose batch did not arrive.
            pid: process id of that worker.
        """
        limit = f"within {self.seconds:g} s (train.timeout)"
        if not workers:
            return TPError(f"rank {self.rank}: no batch was read and prepared {limit}; is the disk of the data there?")
        state = _state(pid)
        return TPError(
            f"rank {self.rank}: worker {number} of {workers} (process {pid}) gave no batch {limit}"
            f"{f'; {state}' if state else ''}"
        )


def _state(pid: int | None) -> str:
    """The state of a process that does not answer, as text; empty if the system has no useful information."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return _STATES.get(letter, "")


def has_alarm() -> bool:
    """True if :func:`time_limit` works here: in the main thread, on a system with alarms, with no other alarm set."""
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, _expire)
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )


def _expire(number: int, frame: object) -> None:
    raise _Expired


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """A context that ends with :class:`BatchTimeoutError` after ``seconds``, if :func:`has_alarm`."""
    if seconds is None or not has_alarm():
        yield
        return
    before = signal.signal(signal.SIGALRM, _expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _Expired:
        raise BatchTimeoutError from None
    finally:
        signal.signal(signal.SIGALRM, before)


#: A batch that can be sent.
Sent = TypeVar("Sent", Batch, EvaluationBatch)


class Parcel(Generic[Sent]):
    """A batch that a worker sends, with its tensors already in shared memory.

    Torch sends batches in a thread that only prints its errors, such as that of a full ``/dev/shm``, and the batch is
    lost. Packing the batch first raises the error where it can be reported.
    """

    def __init__(self, batch: Sent) -> None:
        self._packed = bytes(ForkingPickler.dumps(batch))

    def batch(self) -> Sent:
        """The batch; it can be taken out only once."""
        unpacked: Sent = pickle.loads(self._packed)
        return unpacked

    def pin_memory(self) -> Sent:
        """The batch in pinned memory; torch calls this in a separate thread."""
        return self.batch().pin_memory()


def not_sent(error: Exception, worker: int) -> TPError | None:
    """The error for the user if a worker cannot send a batch; None for other errors."""
    text = str(error)
    if not isinstance(error, (RuntimeError, OSError)):
        return None
    if "shared memory" in text or "No space left" in text:
        return TPError(
            f"worker {worker}: shared memory is full ({text.splitlines()[0]}); a larger /dev/shm "
            "(docker run --shm-size), fewer train.workers, a smaller train.prefetch or train.batch_size may help"
        )
    if "Too many open files" in text:
        advice = "a higher limit (ulimit -n) or a smaller train.prefetch may help"
        return TPError(f"worker {worker}: too many open files; {advice}")
    return None


def ignore_lost_receiver() -> None:
    """Suppress a worker's error output about a receiver that is gone or was interrupted.

    Python's thread that shares memory with the receiver prints every error and continues.
    """
    before = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        lost = isinstance(error, (ConnectionError, EOFError))
        if not lost or threading.current_thread() is threading.main_thread():
            before(kind, error, trace)

    sys.excepthook = tell


def end_workers(iterator: Any) -> None:
    """End the workers of a torch DataLoader's iterator, and kill those that do not end by themselves soon.

    Workers ignore signals, and may wait forever. Torch's handler for dead workers is disabled meanwhile.
    """
    shutdown = getattr(iterator, "_shutdown_workers", None)
    if shutdown is None:
        return
    workers = list(iterator._workers)
    late = threading.Timer(_GRACE, _kill, [workers])
    late.daemon = True
    with _children_unheard():
        late.start()
        try:
            shutdown()
        finally:
            late.cancel()


def _kill(workers: list[Any]) -> None:
    for worker in workers:
        with contextlib.suppress(ValueError, AttributeError, OSError):  # the worker has already ended
            worker.kill()


@contextlib.contextmanager
def _children_unheard() -> Iterator[None]:
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)
