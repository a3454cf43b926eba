"""The processes of a sweep's runs: started, waited for, and stopped so that they save their state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tp_core.processes.leaving import held_back
from tp_core.sweep.combinations import SweepRun

#: Seconds between two looks at the processes.
_OFTEN = 0.1

#: ``PR_SET_PDEATHSIG`` of Linux.
_PARENT_DEATH_SIGNAL = 1

#: Where the system lists its NVIDIA devices, without a library.
_DEVICES = Path("/proc/driver/nvidia/gpus")


@dataclass
class _Child:
    run: SweepRun
    process: subprocess.Popen[bytes]
    slot: int
    began: float


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        status: its exit status; negative for a signal.
        seconds: how long it ran.
    """

    run: SweepRun
    status: int
    seconds: float


class Children:
    """Processes that run at the same time.

    If there are several CUDA devices, the processes take them in turn.

    Args:
        most: maximum number of processes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._children: list[_Child] = []
        self._devices = cuda_devices()

    @property
    def running(self) -> list[SweepRun]:
        return [each.run for each in self._children]

    @property
    def free(self) -> bool:
        """True if a further process may start."""
        return len(self._children) < self.most

    def start(self, run: SweepRun, arguments: Sequence[str], log: Path) -> None:
        """Start ``tp ARGUMENTS``; what it says is added to the log."""
        slot = min(set(range(self.most)) - {each.slot for each in self._children})
        environment = dict(os.environ)
        if len(self._devices) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = self._devices[slot % len(self._devices)]
        log.parent.mkdir(parents=True, exist_ok=True)
        with held_back(), open(log, "ab") as file:
            # In a session of its own, so that Ctrl-C does not reach it: the sweep passes a signal on once.
            process = subprocess.Popen(
                [sys.executable, "-m", "tp_core", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=_dying_with_parent(),
            )
            self._children.append(_Child(run, process, slot, time.monotonic()))

    def ended(self) -> list[Ended]:
        """Wait until a process has ended; all that have ended since the last call."""
        while True:
            found = [each for each in self._children if each.process.poll() is not None]
            if found or not self._children:
                return [self._end(each) for each in found]
            time.sleep(_OFTEN)

    def stop(self, say: Callable[[str], None]) -> list[Ended]:
        """Ask all processes to save their state and stop, and wait for them. A further Ctrl-C ends them at once."""
        if self._children:
            say("stopping; the runs save their state (Ctrl-C again: at once)")
        for each in self._children:
            self._signal(each, signal.SIGTERM)
        found = []
        while self._children:
            try:
                found += self.ended()
            except KeyboardInterrupt:
                for each in self._children:
                    self._signal(each, getattr(signal, "SIGKILL", signal.SIGTERM))
            except SystemExit:  # another SIGTERM: the state is being saved already
                continue
        return found

    def _signal(self, child: _Child, number: int) -> None:
        if child.process.poll() is None:
            child.process.send_signal(number)

    def _end(self, child: _Child) -> Ended:
        self._children.remove(child)
        return Ended(child.run, int(child.process.returncode), time.monotonic() - child.began)


def _dying_with_parent() -> Callable[[], None] | None:
    """A function for a new process: if the sweep is killed, it gets SIGTERM. None where the system cannot do this."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return lambda: prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGTERM))


def cuda_devices() -> list[str]:
    """The CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; empty if unknown."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [each.strip() for each in given.split(",") if each.strip()]
    try:
        return [str(number) for number, _ in enumerate(_DEVICES.iterdir())]
    except OSError:
        return []


def failure_in(log: Path, status: int) -> str:
    """The reason why a process has ended with an error, from the end of what it said."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    told = lines[starts[-1] :] if starts else [line for line in lines if line.strip()][-1:]
    text = " ".join(line.strip() for line in told).removeprefix("error: ")
    if status < 0:
        name = signal.Signals(-status).name if -status in {*map(int, signal.Signals)} else str(-status)
        return f"ended by {name}"
    return text if len(text) <= 500 else f"{text[:497]}..."
