"""Libraries that are not installed, or broken: the message for the error that importing one raises. Torch-free."""

from __future__ import annotations

import re

from tp_core import metadata
from tp_core.discovery import OWN, distributions, installed_version, named, normalized

#: Distributions whose module has another name.
MODULES = {"pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn"}


def broken_library(error: BaseException) -> str:
    """The message for an error that importing a library of ours has raised; empty for another error.

    It is one where the library is not there (:class:`ImportError` names it), or where its own module was being run.
    """
    if not isinstance(error, Exception):
        return ""
    names = {MODULES.get(normalized(name), name.replace("-", "_")): name for name in required()}
    found = next((module for module in reversed(_imported(error)) if module in names), "")
    if not found:
        return ""
    name, version = names[found], installed_version(names[found])
    if not version:
        return f"the package {name} is not installed ({named(error)}): pip install {name}"
    return (
        f"the package {name} {version} cannot be imported ({named(error)}): pip install --force-reinstall '{name}'; "
        "tp doctor says what else is broken"
    )


def _imported(error: BaseException) -> list[str]:
    """The packages that were being imported when an error was raised, the outermost first."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            found.append(str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        trace = trace.tb_next
    if isinstance(error, ImportError):
        found.append(str(error.name or "").partition(".")[0])
    return found


def required() -> set[str]:
    """The names of the distributions that ours require, ours left out."""
    found = set()
    for each in distributions():
        if normalized(metadata.header(each, "Name")) in OWN:
            for text in metadata.headers(each, "Requires-Dist"):
                if "extra" not in text.partition(";")[2]:
                    found.add(re.split(r"[^\w.-]", text, maxsplit=1)[0])
    return {name for name in found if normalized(name) not in OWN}
