"""Settings of every test process."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported. Compiling the tests and the modules they need takes longer than importing them, in every
# worker and every process that a test starts: where Python is told to keep no compiled modules, tests keep theirs.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    # Modules that tests write are in folders that no later run has.
    atexit.register(shutil.rmtree, sys.pycache_prefix + tempfile.gettempdir(), ignore_errors=True)

if "TP_CACHE" not in os.environ:  # what an earlier run of the tests, or the user, has prepared is none of theirs
    os.environ["TP_CACHE"] = tempfile.mkdtemp(prefix="tp-tests-")
    atexit.register(shutil.rmtree, os.environ["TP_CACHE"], ignore_errors=True)

# A shell that runs the tests in its background has them ignore these, and so would all that they start.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported. Threads of several workers on the same cores wait for each other by spinning: with two
    # workers on two cores, tests of small models take up to ten times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Take the modules and tests, which live until the end, out of what each collection of garbage visits."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
