"""Imports torch once, then forks a process per request that runs ``tp`` with the given arguments.

Importing torch takes seconds, a fork takes milliseconds; what runs in the child is a process like any other, with
signals, limits and files of its own. Requests and answers are JSON, one per line, on standard input and output.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import resource
import runpy
import signal
import sys
import time
from typing import Any, NoReturn

PRELOADED = [
    "tokenizers",
    "torch._dynamo",  # the first optimizer imports it
    "torch.distributed",
    "torch.distributed.checkpoint.hf_storage",
    "torch.distributed.fsdp",
    "torch.distributed.tensor.parallel",
    "torch.nn.parallel",
    "torch.utils.checkpoint",
    "torch.utils.tensorboard",
    "tp_core.cli.train",
    "tp_core.spec.load",
    "tp_core.training.run",
    "tp_text.embeddings.segment",
    "tp_text.embeddings.word",
    "tp_text.processors.bert",
    "tp_text.targets.mlm",
    "tp_text.targets.sp",
    "tp_text.tokenizers.line_vocabulary",
    "tp_core.modules.embeddings.position",
    "tp_core.modules.encoders.transformer",
]


def become_tp(request: dict[str, Any]) -> NoReturn:
    """Turn this forked process into the run that is asked for."""
    os.setsid()
    with open(os.devnull) as nothing, open(request["log"], "ab") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    if request["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"], request["file_limit"]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(signal.SIGUSR2, all_threads=True)  # runs.Run.wait asks where a process hangs
    sys.argv = [request["script"] or "tp", *request["arguments"]]
    if request["script"] is not None:
        runpy.run_path(request["script"], run_name="__main__")
        sys.stdout.flush()
        os._exit(0)
    from tp_core.cli.main import run

    run()


def status_of(pid: int, seconds: float) -> int | None:
    """The exit status of a child, negative for a signal; None if it is still running after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def serve() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)
    print(json.dumps("ready"), flush=True)
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "wait" in request:
            answer: object = status_of(request["wait"], request["seconds"])
        else:
            answer = os.fork()
            if answer == 0:
                become_tp(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    # An interrupt at the terminal is for pytest, which closes our input when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()
