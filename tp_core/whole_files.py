"""Small files of which a crash leaves the old content or the new. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

#: How the names of files begin that are not whole yet.
TEMPORARY = ".tmp-"


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name, and give it its own when it is whole."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
