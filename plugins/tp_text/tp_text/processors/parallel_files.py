"""Names of the files of a parallel corpus. Torch-free."""

from __future__ import annotations

import os


def has_extension(path: str, extension: str) -> bool:
    """True if a file's name ends with ``.extension`` or ``.extension.gz``."""
    return path.removesuffix(".gz").endswith(f".{extension.removeprefix('.')}")


def partner_of(path: str, extension: str, other: str) -> str | None:
    """The file of the same name with the other extension, or None for a path that does not have the first.

    Either may be compressed (``.gz``). The file need not exist.
    """
    if not has_extension(path, extension):
        return None
    stem = path.removesuffix(".gz").removesuffix(extension.removeprefix("."))
    plain = stem + other.removeprefix(".")
    compressed = f"{plain}.gz"
    return compressed if os.path.exists(compressed) and not os.path.exists(plain) else plain
