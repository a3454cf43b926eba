"""The default folder of prepared data. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

from tp_core.errors import TPError


def user_cache() -> Path:
    """The default cache folder: ``$TP_CACHE``, else ``$XDG_CACHE_HOME/tp``, else ``~/.cache/tp``.

    A relative ``XDG_CACHE_HOME`` is ignored, as its specification requires (XDG Base Directory 0.8).

    Raises:
        TPError: none of them is set, and the user has no home folder.
    """
    if own := os.environ.get("TP_CACHE"):
        return _with_home(own)
    general = os.environ.get("XDG_CACHE_HOME", "")
    return Path(general) / "tp" if os.path.isabs(general) else _with_home("~/.cache/tp")


def _with_home(path: str) -> Path:
    if not path.startswith("~"):
        return Path(path)
    found = os.path.expanduser(path)
    if os.environ.get("HOME") == "":  # treated as not set; it would mean the root folder
        del os.environ["HOME"]
        try:
            found = os.path.expanduser(path)
        finally:
            os.environ["HOME"] = ""
    if found.startswith("~"):
        raise TPError(
            "there is no folder for prepared data: HOME is not set; name a folder in TP_CACHE, in XDG_CACHE_HOME or, "
            "in the spec, in data.cache"
        )
    return Path(found)
