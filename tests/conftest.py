"""Settings of every test process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "TP_CACHE" not in os.environ:  # what an earlier run of the tests, or the user, has prepared is none of theirs
    os.environ["TP_CACHE"] = tempfile.mkdtemp(prefix="tp-tests-")
    atexit.register(shutil.rmtree, os.environ["TP_CACHE"], ignore_errors=True)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported. Threads of several workers on the same cores wait for each other by spinning: with two
    # workers on two cores, tests of small models take up to ten times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
