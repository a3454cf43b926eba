"""All that a call could leave behind in a process: what tests compare before and after it."""

from __future__ import annotations

import atexit
import contextlib
import csv
import decimal
import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.distributed as dist


def process_state() -> dict[str, Any]:
    """The state of this process by name, in values that compare equal if it is the same."""
    return {**_random(), **_torch(), **_python(), **_system()}


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The changes, by name: of lists and mappings, the items that have gone and come."""
    found = {}
    for name, old in before.items():
        new = after[name]
        if isinstance(old, dict):
            old, new = list(old.items()), list(new.items())
        if old != new and isinstance(old, list):
            left, gained = list(old), []
            for each in new:
                left.remove(each) if each in left else gained.append(each)
            found[name] = (left, gained)
        elif old != new:
            found[name] = (old, new)
    return found


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Compare the state before and after the block, also if it raises.

    Sockets of process groups are closed a moment after their group, by threads of their own: those of an earlier group
    may still go, and those of the block's have some seconds.
    """
    before = process_state()
    try:
        yield
    finally:
        gc.collect()
        ends = time.monotonic() + 10
        while (found := left_behind(before)) and time.monotonic() < ends:
            time.sleep(0.05)
        assert not found, f"left behind: {found}"


def left_behind(before: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The changes since then, but files that are no longer open."""
    found = differences(before, process_state())
    if "files" in found and not found["files"][1]:
        del found["files"]
    return found


def _random() -> dict[str, Any]:
    numpy_state: Any = np.random.get_state(legacy=False)
    numpy_state["state"]["key"] = numpy_state["state"]["key"].tolist()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "random": random.getstate(),
        "numpy.random": numpy_state,
        "torch.random": torch.get_rng_state().tolist(),
        "cuda.random": [state.tolist() for state in devices],
    }


def _torch() -> dict[str, Any]:
    backends: Any = torch.backends
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "matmul precision": torch.get_float32_matmul_precision(),
        "tf32": (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32),
        "cudnn": (backends.cudnn.enabled, backends.cudnn.benchmark, backends.cudnn.deterministic),
        "mkldnn": backends.mkldnn.enabled,
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "cuda device": torch.cuda.current_device() if torch.cuda.is_available() else None,
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": tuple((torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in ("cpu", "cuda")),
        "sharing": torch.multiprocessing.get_sharing_strategy(),
        "process group": dist.is_initialized(),
    }


def _python() -> dict[str, Any]:
    known = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    loggers = [one for one in known if isinstance(one, logging.Logger)]
    return {
        "warnings": (list(warnings.filters), warnings.showwarning),
        "sys.path": list(sys.path),
        "finders": (list(sys.meta_path), list(sys.path_hooks)),
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "recursion": sys.getrecursionlimit(),
        "logging": [(one.name, one.level, list(one.handlers), one.disabled) for one in loggers],
        "logging disabled": logging.root.manager.disable,
        "numpy": (np.geterr(), np.get_printoptions()),
        "csv": csv.field_size_limit(),
        "decimal": str(decimal.getcontext()),
        "locale": locale.setlocale(locale.LC_ALL),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "at exit": atexit._ncallbacks(),
    }


def _system() -> dict[str, Any]:
    umask = os.umask(0)
    os.umask(umask)
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "running": sorted(thread.name for thread in threading.enumerate()),
        "children": sorted(_children()),
        "files": sorted(_open_files()),
    }


def _children() -> Iterator[str]:
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing is not None else ():
        yield child.name


def _open_files() -> Iterator[str]:
    """The files that the process has open, where the system tells."""
    if not os.path.isdir("/proc/self/fd"):
        return
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")
            if "/fd" not in target:  # the listing itself
                yield target
