"""Starts a command in several processes on this machine, with the agent of torchrun."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from torch.distributed.elastic.agent.server.api import WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous import registry as rendezvous

from tp_core.processes.leaving import SAVE, heard_signals
from tp_core.processes.orphans import LAUNCHER
from tp_core.terminal import tell

#: Signals for the run, which the processes get.
_PASSED_ON = ("SIGTERM", "SIGINT", "SIGHUP", SAVE)

#: Signals after which a process reports nothing itself.
_VIOLENT = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, getattr(signal, "SIGBUS", signal.SIGSEGV))


def run_processes(arguments: Sequence[str], count: int) -> int:
    """Run ``tp ARGUMENTS`` in several processes to their end; returns the exit status of ``tp``.

    Signals are passed on to all processes. When one fails, the others are ended.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes report their errors
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    place = RendezvousParameters("c10d", "localhost:0", uuid.uuid4().hex, 1, 1, is_host=True)
    spec = WorkerSpec(
        role="tp",
        local_world_size=count,
        entrypoint=sys.executable,
        args=("-m", "tp_core", *arguments),
        rdzv_handler=rendezvous.get_rendezvous_handler(place),
        max_restarts=0,
        monitor_interval=0.1,
        local_addr="localhost",
    )
    agent = _Agent(spec, DefaultLogsSpecs())
    try:
        with agent.signals_passed_on():
            result = agent.run()
    finally:
        spec.rdzv_handler.shutdown()
    return _status(result.failures) if result.is_failed() else 0


class _Agent(LocalElasticAgent):
    """An agent that knows its processes, so that it can pass on signals."""

    def __init__(self, spec: WorkerSpec, logs: DefaultLogsSpecs) -> None:
        super().__init__(spec, logs)
        self._started: list[int] = []
        self._came: list[int] = []

    def _start_workers(self, worker_group: Any) -> dict[int, Any]:
        # Torch would end the processes on a signal, and kill them if they take longer than 30 s to save.
        os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGQUIT"
        os.environ[LAUNCHER] = str(os.getpid())
        started: dict[int, Any] = super()._start_workers(worker_group)
        self._started = list(started.values())
        for number in self._came:
            self._pass_on(number)
        return started

    @contextlib.contextmanager
    def signals_passed_on(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in heard_signals(*_PASSED_ON)}
        for number in before:
            signal.signal(number, lambda number, _: self._pass_on(number))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _pass_on(self, number: int) -> None:
        if not self._started:
            self._came.append(number)
        for pid in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _status(failures: dict[int, ProcessFailure]) -> int:
    """The exit status for processes of which some have failed; it says which one a signal has ended."""
    ended = {rank: -failure.exitcode for rank, failure in failures.items() if -failure.exitcode in _VIOLENT}
    for rank, number in ended.items():
        name = signal.Signals(number).name
        tell(f"error: process {rank} was ended by {name}; the others were stopped", err=True)
    if ended:
        return 128 + max(ended.values())
    # Those that were ended because of another one have statuses above 128.
    told = [failure.exitcode for failure in failures.values() if failure.exitcode > 0]
    return min(told) if told else max(128 - failure.exitcode for failure in failures.values())
