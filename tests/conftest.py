"""Settings of every test process."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported. Threads of several workers on the same cores wait for each other by spinning: with two
    # workers on two cores, tests of small models take up to ten times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
