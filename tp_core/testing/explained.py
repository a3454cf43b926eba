"""Turns exceptions of a checked module into messages for its author."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn an exception in a step into an AssertionError that names the step. The exception is kept as the cause."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        what = f"{doing} raises {type(error).__name__}: {error}"
        if "reset_parameters" in str(error):
            what += "; a model is built without values, and this method must set those of its own module"
        raise AssertionError(what) from error
