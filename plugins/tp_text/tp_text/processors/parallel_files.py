"""File names of a parallel corpus. Torch-free."""

from __future__ import annotations

import os


def has_extension(path: str, extension: str) -> bool:
    """True if the path ends with ``.extension`` or ``.extension.gz``."""
    return path.removesuffix(".gz").endswith(f".{extension.removeprefix('.')}")


def partner_of(path: str, extension: str, other: str) -> str | None:
    """Path with ``extension`` replaced by ``other``; None if the path does not have ``extension``.

    Either file may be compressed (``.gz``). The returned path need not exist.
    """
    if not has_extension(path, extension):
        return None
    stem = path.removesuffix(".gz").removesuffix(extension.removeprefix("."))
    plain = stem + other.removeprefix(".")
    compressed = f"{plain}.gz"
    return compressed if os.path.exists(compressed) and not os.path.exists(plain) else plain
