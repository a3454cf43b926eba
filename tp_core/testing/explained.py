"""Exceptions of a module that is checked, told as what its author reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what a step raises into an assertion that says which step it was; the cause is kept."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        what = f"{doing} raises {type(error).__name__}: {error}"
        if "reset_parameters" in str(error):
            what += "; the model is built without values, and this method fills those of its own module"
        raise AssertionError(what) from error
