"""Messages about errors caused by libraries that are missing, incomplete, hidden or broken. Torch-free.

This file uses only the standard library, since any other library may be the broken one.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tp_core.errors import describe_error
from tp_core.packages import metadata
from tp_core.packages.first_party import first_party
from tp_core.packages.installed import distributions, installed_version
from tp_core.packages.metadata import normalized

#: Distributions whose Python package has another name.
MODULES = {"pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn"}

#: Endings of files that a library needs: Python code and compiled code.
_CODE = re.compile(r"\.(py|pyd|dll|dylib|so(\.\d+)*)$")

#: Folders that may be missing because somebody has removed them to save space.
_SPARED = {"test", "tests", "__pycache__"}


def broken_library(error: BaseException) -> str:
    """The message for an error that a broken required library has caused; empty for other errors.

    A library is the cause if it is not installed (:class:`ImportError` names it), if the error was raised during its
    import, or if the error passed through the code of a library with missing files.
    """
    if not isinstance(error, Exception):
        return ""
    names = {module_of(name): name for name in required()}
    imported = next((module for module in reversed(_imported(error)) if module in names), "")
    if not imported:
        passed = (names[module] for module in reversed(_passed(error)) if module in names)
        told = ((name, why) for name in passed if (why := fault(name)))
        return next((f"the package {name} {installed_version(name)} {why}" for name, why in told), "")
    name, version = names[imported], installed_version(names[imported])
    if not version:
        return f"the package {name} is not installed ({describe_error(error)}): pip install {name}"
    if why := fault(name):
        return f"the package {name} {version} {why}"
    return (
        f"the package {name} {version} cannot be imported ({describe_error(error)}): "
        f"pip install --force-reinstall '{name}'; tp doctor says what else is broken"
    )


def fault(name: str) -> str:
    """The fault in the files of a distribution, as the predicate of a sentence; empty if there is none."""
    distribution = _distribution(name)
    folder = getattr(distribution, "_path", None)
    if folder is None:
        return ""
    root, module = Path(folder).parent, module_of(name)
    files = [*_recorded(distribution)]
    place = _found_at(module)
    # In an intact installation, Python imports exactly this file, possibly through links.
    heads = [file for file in files if re.fullmatch(rf"{module}(/__init__)?\.[^/]+", file) and (root / file).exists()]
    if place and heads and not any(os.path.exists(place) and os.path.samefile(place, root / each) for each in heads):
        return f"is hidden by {place}, which Python finds first: give that another name"
    gone = [file for file in files if not os.path.exists(root / file)]
    if not gone:
        return ""
    shown = f"{gone[0]} and {len(gone) - 1} more" if len(gone) > 1 else gone[0]
    return f"lacks files that were installed with it ({shown}): pip install --force-reinstall '{name}'"


def module_of(name: str) -> str:
    """The name of the Python package of a distribution."""
    return MODULES.get(normalized(name), name.replace("-", "_"))


def required() -> set[str]:
    """The names of the distributions that our distributions require, without our own."""
    found = set()
    for name in first_party():
        for each in distributions(name=name):
            for text in metadata.headers(each, "Requires-Dist"):
                if "extra" not in text.partition(";")[2]:
                    found.add(re.split(r"[^\w.-]", text, maxsplit=1)[0])
    return {name for name in found if normalized(name) not in first_party()}


def _distribution(name: str) -> Any:
    return next(iter(distributions(name=name)), None)


def _recorded(distribution: Any) -> Iterator[str]:
    """The code files in RECORD, the installer's list of files; paths are relative to the metadata folder's parent."""
    import csv

    text = metadata.read(distribution, "RECORD").text
    for row in csv.reader(text.splitlines()):
        path = row[0] if row else ""
        if _CODE.search(path) and not path.startswith(("..", "/")) and not _SPARED & set(path.split("/")):
            yield path


def _found_at(module: str) -> str:
    """The file or folder where Python finds a module; empty if the module does not exist or has no file."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return ""
    if spec is None:
        return ""
    place = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), "")
    return place or ""


def _imported(error: BaseException) -> list[str]:
    """The packages that were being imported when an error was raised, the outermost first."""
    found = [_top(frame) for frame in _frames(error) if frame.f_code.co_name == "<module>"]
    if isinstance(error, ImportError):
        found.append(str(error.name or "").partition(".")[0])
    return found


def _passed(error: BaseException) -> list[str]:
    """The packages whose code an error passed through, and the package of a module that lacks an attribute."""
    found = [_top(frame) for frame in _frames(error)]
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        found.append(error.obj.__name__.partition(".")[0])
    return found


def _frames(error: BaseException) -> Iterator[Any]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _top(frame: Any) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
