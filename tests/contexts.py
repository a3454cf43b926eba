"""The facts of a model that processors know, for tests that build one by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp_core.options.context import TargetFacts


def targets(**options: Mapping[str, Any]) -> dict[str, TargetFacts]:
    """Targets called as their modules, with these options, each of which asks for labels of its name."""
    return {name: TargetFacts(name, each, (name,)) for name, each in options.items()}
