"""A process that ``--nproc`` has started stops when the process that has started it is gone. Torch-free."""

from __future__ import annotations

import os
import signal
import threading
import time

#: Environment variable with the process that has started this one.
LAUNCHER = "TP_LAUNCHER"

#: Seconds between two looks.
_EVERY = 1.0


def stop_with_launcher() -> None:
    """Send this process SIGTERM when its launcher has ended without ending it, so that the run is saved and stops."""
    launcher = os.environ.get(LAUNCHER, "")
    if not launcher.isdecimal() or os.getppid() != int(launcher):
        return

    def watch() -> None:
        while os.getppid() == int(launcher):
            time.sleep(_EVERY)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
