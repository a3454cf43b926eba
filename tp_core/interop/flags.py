"""The spelling of a format's options on the command line."""

from __future__ import annotations


def flag(option: str) -> str:
    """The command-line option for an option; that of a list has the singular: --ignore-key for ``ignore_keys``."""
    return f"--{option.removesuffix('s') if option.endswith('keys') else option}".replace("_", "-")
