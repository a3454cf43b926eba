"""Helpers for all parts of a validated spec. Torch-free."""

from typing import Any

from pydantic import ConfigDict

from tp_core.options.base import ModuleConfig
from tp_core.options.choice import slots_of
from tp_core.spec.choices.part_names import TAKEN

#: Validation settings for the plain options of every section.
SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


def key_of(name: str) -> str:
    """A part's name as used in the names of its weights, where dots separate parts.

    A dot becomes a colon, and a colon becomes two colons, so that different names stay different.
    """
    key = name.replace(":", "::").replace(".", ":")
    return f"{key}:" if key in TAKEN else key


def options_of(config: ModuleConfig) -> dict[str, Any]:
    """A module's options by name; options that choose modules have the chosen modules as values."""
    return {**config.model_dump(), **{name: getattr(config, name) for name in slots_of(type(config))}}
