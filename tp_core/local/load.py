"""Loading of ``my_file:MyConfig``, from the name in a spec to the class."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError, describe_error
from tp_core.local.namespace import Namespace, namespace_of
from tp_core.packages.third_party import interrupts, printing_apart
from tp_core.suggest import did_you_mean


class Loaded(NamedTuple):
    """The object that a name refers to.

    Attributes:
        value: the class.
        namespace: the local files that define it; None for an importable module.
    """

    value: Any
    namespace: Namespace | None


def load(name: str, base: str) -> Loaded:
    """Import ``my_file:MyConfig`` from a file beside the spec, or from an importable module.

    If the file, or a file that it imports from its folder, has changed since it was loaded, it is loaded again.

    Raises:
        TPError: the file or the class does not exist, or the file raises an exception.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise TPError(f"'{name}': expected file:Class, as in my_module:MyConfig")
    inside = Path(base) / module_name.replace(".", "/")
    file = file_of(module_name, base)
    space: Namespace | None = None
    try:
        if file is not None:
            space = namespace_of(base, module_name)
        with printing_apart():
            module = importlib.import_module(module_name if space is None else f"{space.name}.{module_name}")
    except BaseException as error:
        if interrupts(error):
            raise
        if space is None and isinstance(error, ModuleNotFoundError) and error.name == module_name:
            raise TPError(f"'{name}': there is no file {inside}.py and no module {module_name}") from error
        raise TPError(f"'{name}' cannot be loaded: {_said(error, space)}") from error
    if not hasattr(module, attribute):
        near = did_you_mean(attribute, [n for n in vars(module) if not n.startswith("_")])
        raise TPError(f"{file or module_name} has no '{attribute}'" + (f"; {near}" if near else ""))
    return Loaded(getattr(module, attribute), space)


def file_of(module: str, base: str) -> Path | None:
    """The file of a module, by its name in a folder; None if there is none."""
    inside = Path(base) / module.replace(".", "/")
    files = (inside / "__init__.py", inside.parent / f"{inside.name}.py")
    return next(
        (each for each in files if os.path.isfile(each)), None
    )  # unlike Path.is_file(), it accepts names that are too long


def _said(error: BaseException, space: Namespace | None) -> str:
    """An exception as text, with the names and lines of local files as the user knows them."""
    if space is None:
        return describe_error(error)
    plain = (
        describe_error(error).replace(f"{space.name}.", "").replace(f"'{space.name}' (unknown location)", space.folder)
    )
    return plain + _line_in(space, error)


def _line_in(space: Namespace, error: BaseException) -> str:
    """The local file and line where an exception was raised; empty for a syntax error, whose message has them."""
    own = {space.path(file): file for file in space.sources}
    if isinstance(error, SyntaxError) and error.filename in own:
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    return f" ({own[frames[-1].filename]}, line {frames[-1].lineno})" if frames else ""
