"""JSON files of others: their size is read before their content, and no content ends the program. Torch-free."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

#: The most bytes of a JSON file that is read whole. Vocabularies and indexes of shards have some tens of MB.
MOST = 2**28


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, is nested too deep, has too many bytes, or is no file but a pipe or device.
    """
    found = os.stat(path)
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # the system tells of a folder
        raise ValueError("it is a pipe or a device; expected a file")
    if found.st_size > MOST:
        raise ValueError(f"it has {found.st_size:,} bytes; at most {MOST:,} are read")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
