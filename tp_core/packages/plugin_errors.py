"""Exceptions that come from a plugin or a file beside a spec: one message that says whose they are. Torch-free.

The traceback decides: the innermost frame that is a plugin's own, or that runs a method which a plugin's object
inherits, is to blame. Exceptions without such a frame are ours and stay what they are.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from tp_core.discovery import Entry, is_own, packages
from tp_core.errors import TPError, named
from tp_core.packages.libraries import broken_library
from tp_core.packages.third_party import LOCAL, interrupts

T = TypeVar("T")


class PluginError(TPError):
    """An exception of a plugin, or of a file beside the spec.

    Attributes:
        trace: the traceback as text, also of an exception from another process.
        subject: the module's options, where they are known.
    """

    def __init__(self, message: str, trace: str = "", subject: object = None) -> None:
        self.trace, self.subject = trace, subject
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.trace)


class Culprit(NamedTuple):
    """The origin of an exception.

    Attributes:
        owner: the distribution and its version, or the local file.
        place: file, line and function of the frame.
        subject: the object whose method was running; None in a function.
    """

    owner: str
    place: str
    subject: Any


def plugin_error(error: BaseException) -> PluginError | None:
    """The message for an exception that a plugin or a broken library has raised; None for one that none has.

    A :class:`TPError` is a message already, Ctrl-C and the exits of signals are nobody's.
    """
    if isinstance(error, TPError) or interrupts(error):
        return None
    found, message = None, broken_library(error)
    if not message:
        found = culprit(error)
        if found is None:
            return None
        message = f"{found.owner} failed: {named(error)} ({found.place}); --traceback shows all of it"
    subject = None if found is None else found.subject
    return PluginError(message, "".join(traceback.format_exception(error)), subject)


def expect(value: T, kind: type | tuple[type, ...], config: object, method: str, expected: str) -> T:
    """The value that a module's method gave back, if it is of the expected kind.

    Raises:
        PluginError: it is of another; the message says whose method, what it gave back and what was expected.
    """
    if isinstance(value, kind):
        return value
    shown = repr(value) if value is None or isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    raise wrong_value(config, method, shown[:80], expected)


def wrong_value(config: object, method: str, shown: str, expected: str) -> PluginError:
    """The error for what a module's method gave back, where something else was expected."""
    cls = type(config)
    packages = _packages()
    owner = _owner(cls.__module__, packages, False) or _owner(cls.__module__, packages, True) or cls.__module__
    message = f"{owner} failed: {cls.__qualname__}.{method}() gave back {shown}; expected {expected}"
    return PluginError(message, subject=config)


def culprit(error: BaseException) -> Culprit | None:
    """The innermost frame of an exception that belongs to a plugin or a local file, ours being the last resort."""
    frames = list(_frames(error))
    packages = _packages()
    for ours in (False, True):
        for frame, line in reversed(frames):
            subject = frame.f_locals.get("self")
            for module in (
                _module(frame),
                str(getattr(type(subject), "__module__", "")) if subject is not None else "",
            ):
                owner = _owner(module, packages, ours)
                if owner:
                    return Culprit(owner, _place(frame, line), _object_of(frames, frame))
    return _called_wrongly(error, packages)


def _object_of(frames: list[tuple[FrameType, int]], frame: FrameType) -> Any:
    """The object whose method a frame runs, or was called by as a function of the same file; None without one."""
    calling = [each for each, _ in frames[: [each for each, _ in frames].index(frame) + 1]]
    found = (each.f_locals["self"] for each in reversed(calling) if "self" in each.f_locals)
    subject = next(found, None)
    same = subject is not None and (subject is frame.f_locals.get("self") or type(subject).__module__ == _module(frame))
    return subject if same else None


def _called_wrongly(error: BaseException, packages: dict[str, Entry]) -> Culprit | None:
    """The plugin whose function does not take what it is called with: Python raises that in the caller."""
    found = re.match(r"([\w.]+)\(\) (takes|missing|got)\b", str(error)) if isinstance(error, TypeError) else None
    if found is None:
        return None
    for ours in (False, True):
        for name, module in list(sys.modules.items()):
            owner = _owner(name, packages, ours)
            function = _attribute(module, found[1]) if owner else None
            code = getattr(function, "__code__", None)
            if code is not None and getattr(function, "__module__", "") == name:
                return Culprit(owner, f"{code.co_filename}, line {code.co_firstlineno}", None)
    return None


def _attribute(module: Any, path: str) -> Any:
    """An attribute of a module by its qualified name; None where there is none."""
    value = module
    for part in path.split("."):
        value = vars(value).get(part) if hasattr(value, "__dict__") else None
    return value


def _packages() -> dict[str, Entry]:
    """The packages of plugins → an entry of who offers them."""
    found = packages()
    found.pop("tp_core", None)
    return found


def _owner(module: str, packages: dict[str, Entry], ours: bool) -> str:
    """Whose a module is, in words; empty where it is not of those that are looked for."""
    if module.startswith(LOCAL):
        return "" if ours else f"the local file {_local_file(module)}"
    entry = packages.get(module.partition(".")[0])
    if entry is None or is_own(entry) != ours:
        return ""
    return f"{entry.distribution} {entry.version}"


def _local_file(module: str) -> str:
    return f"{module.removeprefix('tp_core.local.').partition('.')[2].replace('.', '/')}.py"


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _place(frame: FrameType, line: int) -> str:
    return f"{frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}"
