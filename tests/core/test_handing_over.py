"""Batches are handed over by workers, also to a training that leaves in the middle of it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import socket
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

import pytest

from tp_core.data.sampling.loader import _worker


def _offers(pipe: Connection) -> None:
    """A worker that offers two files, one after the other, and ends when it is told."""
    from multiprocessing.reduction import DupFd

    _worker(0)
    for _ in range(2):
        read, write = os.pipe()
        os.write(write, b"x")
        pipe.send_bytes(pickle.dumps(DupFd(read)))
    pipe.recv_bytes()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_worker_says_nothing_when_the_training_leaves_while_it_takes_a_batch(
    method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    context: BaseContext = multiprocessing.get_context(method)
    here, there = context.Pipe()
    worker: Any = context.Process(target=_offers, args=(there,))
    worker.start()
    try:
        left, taken = pickle.loads(here.recv_bytes()), pickle.loads(here.recv_bytes())
        address, _ = left._id
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as taker:
            taker.connect(address)
            taker.recv(1)  # of the challenge; the rest is unread, so that the worker's answer is a reset
        handle = taken.detach()
        assert os.read(handle, 1) == b"x", "the worker serves on"
        os.close(handle)
        here.send_bytes(b"end")
        worker.join(20)
        assert worker.exitcode == 0
    finally:
        worker.kill()
    assert capfd.readouterr().err == ""
