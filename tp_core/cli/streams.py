"""Standard streams: results go to stdout, everything else to stderr, in any encoding."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator

from tp_core.packages.third_party import printing_apart

#: Name of the error handler of :func:`any_encoding`.
ESCAPES = "tp-escapes"


def open_streams() -> None:
    """Open closed standard streams (``>&-``, services, windows without a console) on the null device.

    Otherwise, the first file that is opened would become the standard output of libraries, and Python's own stream
    would be None.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The system assigns the lowest free descriptor, which is that of the closed stream.
            nowhere = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            stream = os.fdopen(nowhere, mode, encoding="utf-8")
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def any_encoding() -> None:
    """Let the standard streams write every character; characters that the encoding lacks are escaped.

    Otherwise, a Windows code page, Latin-1 or ASCII would end a finished command with a UnicodeEncodeError. Escapes
    are those of JSON, so that JSON output stays valid.
    """
    codecs.register_error(ESCAPES, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPES)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    units = wrong.encode("utf-16-be", "surrogatepass")
    pairs = (units[i : i + 2] for i in range(0, len(units), 2))
    return "".join(f"\\u{int.from_bytes(pair, 'big'):04x}" for pair in pairs), error.end


@contextlib.contextmanager
def results_alone() -> Iterator[None]:
    """A context that redirects stdout to stderr, also the output of plugins and of programs that they call."""
    with printing_apart():
        try:
            sys.stdout.flush()
            out, err = sys.__stdout__.fileno(), sys.stderr.fileno()  # type: ignore[union-attr]
            kept = os.dup(out)
        except (OSError, ValueError, AttributeError):  # the streams are not files: in a test, or without a console
            yield
            return
        try:
            os.dup2(err, out)
            yield
        finally:
            os.dup2(kept, out)
            os.close(kept)
