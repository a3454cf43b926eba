"""Writing of a checkpoint by all processes, at once or in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tp_core.artifacts.checkpoint import CheckpointStore
from tp_core.errors import CheckpointError, PeerFailedError, TPError
from tp_core.processes.agreement import together
from tp_core.processes.group import ProcessGroup
from tp_core.training.strategies.snapshot import Snapshot


class Saving:
    """A checkpoint that is written. Every process makes one, and calls the same methods.

    Args:
        store: the run's checkpoints.
        step: number of finished steps.
        protect: as of :meth:`CheckpointStore.save`.
        snapshot: weights and optimizer state, which all processes write together.
        write: writes the other files; only the first process calls it.
        processes: all processes of the run.
    """

    def __init__(
        self,
        store: CheckpointStore,
        step: int,
        protect: int | None,
        snapshot: Snapshot,
        write: Callable[[Path], None],
        processes: ProcessGroup,
    ) -> None:
        self.store, self.step, self.protect, self.snapshot = store, step, protect, snapshot
        self._write, self._processes, self._first = write, processes, processes.rank == 0
        self._thread: threading.Thread | None = None
        self._failure: TPError | None = None

    @property
    def path(self) -> Path:
        """The folder of the checkpoint."""
        return self.store.path(self.step)

    def run(self) -> None:
        """Write the checkpoint.

        Raises:
            CheckpointError: it could not be written; earlier ones are unchanged.
        """
        self._work(self._begun())
        if self._processes.agree(self._failure is not None):
            raise self._failure or PeerFailedError("the first process could not write the checkpoint")

    def start(self) -> None:
        """Write the checkpoint in a thread, from a copy of the snapshot in the memory of the host."""
        temporary = self._begun()
        self.snapshot = self.snapshot.copied()
        self._thread = threading.Thread(target=self._work, args=(temporary,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the thread.

        Raises:
            CheckpointError: the checkpoint could not be written.
        """
        if self._thread is not None:
            while self._thread.is_alive():  # signals are handled between waits
                self._thread.join(1.0)
        self.check()

    def check(self) -> None:
        """Raise the error of the thread, if it failed."""
        if self._failure is not None:
            raise self._failure

    def _begun(self) -> Path:
        """The temporary folder, in which all processes write."""

        def begin() -> Path | None:
            if not self._first:
                return None
            temporary = self.store.begin(self.step)
            try:
                self.snapshot.prepare(temporary)
            except OSError as error:
                raise self.store.failed(self.step, temporary, error) from error
            return temporary

        name = together(self._processes, begin)
        shared = self._processes.from_first(None if name is None else str(name)) if self.snapshot.group else name
        return Path(shared) if shared is not None else self.path

    def _work(self, temporary: Path) -> None:
        try:
            self.snapshot.write(temporary)
            if self._first:
                self._write(temporary)
                self.store.complete(self.step, temporary, self.protect)
        except CheckpointError as error:
            self._failure = error
        except Exception as error:  # torch and safetensors report a full disk in different ways
            if self._first:
                self._failure = self.store.failed(self.step, temporary, error)
            else:
                self._failure = PeerFailedError(f"{self.path}: cannot be written: {error}")
