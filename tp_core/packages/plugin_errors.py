"""Messages for exceptions of a plugin or a file beside a spec, with the name of the owner. Torch-free.

The traceback determines the owner. The innermost frame that belongs to a plugin, or that runs a method inherited by an
object of a plugin, is the cause. Exceptions without such a frame are our own and are not changed.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from tp_core.discovery import PluginEntry, is_own, packages
from tp_core.errors import TPError, describe_error
from tp_core.packages.libraries import broken_library
from tp_core.packages.third_party import LOCAL, interrupts

T = TypeVar("T")


class PluginError(TPError):
    """An exception of a plugin, or of a file beside the spec.

    Attributes:
        trace: the traceback as text, also of an exception from another process.
        subject: the module's options, if known.
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
    """The error for an exception that a plugin or a broken library has raised; None for other exceptions.

    A :class:`TPError` is a message already; Ctrl-C and the exits of signals have no owner.
    """
    if isinstance(error, TPError) or interrupts(error):
        return None
    found, message = None, broken_library(error)
    if not message:
        found = culprit(error)
        if found is None:
            return None
        message = f"{found.owner} failed: {describe_error(error)} ({found.place}); --traceback shows all of it"
    subject = None if found is None else found.subject
    return PluginError(message, "".join(traceback.format_exception(error)), subject)


def expect(value: T, kind: type | tuple[type, ...], config: object, method: str, expected: str) -> T:
    """Check the type of a value that a module's method has returned, and return the value.

    Raises:
        PluginError: the value has another type. The message names the method, its owner, the value and the expected
            type.
    """
    if isinstance(value, kind):
        return value
    shown = repr(value) if value is None or isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    raise wrong_value(config, method, shown[:80], expected)


def built_by(config: Any, base: type[T], *arguments: Any) -> T:
    """The result of ``config.build``, which is an instance of ``base``.

    Raises:
        PluginError: it is something else.
    """
    article = "an" if base.__name__[0] in "AEIOU" else "a"
    built: T = config.build(*arguments)
    return expect(built, base, config, "build", f"{article} {base.__name__}")


def wrong_value(config: object, method: str, shown: str, expected: str) -> PluginError:
    """The error for an unexpected return value of a module's method."""
    cls = type(config)
    packages = _packages()
    owner = _owner(cls.__module__, packages, False) or _owner(cls.__module__, packages, True) or cls.__module__
    message = f"{owner} failed: {cls.__qualname__}.{method}() gave back {shown}; expected {expected}"
    return PluginError(message, subject=config)


def culprit(error: BaseException) -> Culprit | None:
    """The innermost frame of an exception in a plugin of others or a local file, else in one of our own plugins."""
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
    """The object whose method a frame runs, or whose method called it as a function of the same file, else None."""
    calling = [each for each, _ in frames[: [each for each, _ in frames].index(frame) + 1]]
    found = (each.f_locals["self"] for each in reversed(calling) if "self" in each.f_locals)
    subject = next(found, None)
    same = subject is not None and (subject is frame.f_locals.get("self") or type(subject).__module__ == _module(frame))
    return subject if same else None


def _called_wrongly(error: BaseException, packages: dict[str, PluginEntry]) -> Culprit | None:
    """The plugin whose function does not accept its arguments. Python raises this TypeError in the caller."""
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
    """An attribute of a module by its qualified name; None if it does not exist."""
    value = module
    for part in path.split("."):
        value = vars(value).get(part) if hasattr(value, "__dict__") else None
    return value


def _packages() -> dict[str, PluginEntry]:
    """Python packages of plugins → an entry of their distribution."""
    found = packages()
    found.pop("tp_core", None)
    return found


def _owner(module: str, packages: dict[str, PluginEntry], ours: bool) -> str:
    """The owner of a module as text; empty if it is not one of the searched owners."""
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
