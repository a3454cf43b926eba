"""Imports names of a package on first use. Uses the standard library only."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any


def lazy_import(package: str, places: Mapping[str, str], name: str) -> Any:
    """Import the value of a public name of a package; for the package's ``__getattr__``.

    Args:
        places: name → module that defines it.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in places:
        raise AttributeError(f"module '{package}' has no attribute '{name}'")
    value = getattr(importlib.import_module(places[name]), name)
    setattr(sys.modules[package], name, value)
    return value
