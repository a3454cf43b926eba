"""Helpers that all parts of a validated spec share. Torch-free."""

from typing import Any

from pydantic import ConfigDict

from tp_core.options.base import ModuleConfig
from tp_core.options.choice import slots_of
from tp_core.spec.choices.part_names import TAKEN

#: How the plain options of every section are validated.
SECTION = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)


def key_of(name: str) -> str:
    """A part's name as it stands in the names of its weights, where dots separate parts: another for each name.

    A dot becomes a colon, and a colon two: ``acme.gates`` and ``acme_mixer`` have weights of their own.
    """
    key = name.replace(":", "::").replace(".", ":")
    return f"{key}:" if key in TAKEN else key


def options_of(config: ModuleConfig) -> dict[str, Any]:
    """A module's options by name; those that choose modules have these."""
    return {**config.model_dump(), **{name: getattr(config, name) for name in slots_of(type(config))}}
