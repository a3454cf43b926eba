"""The facts of a model that processors know, for tests that build one by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp_core.options.context import TargetFacts
from tp_core.options.facts import published_by
from tp_core.testing.specs import config_class_of


def targets(**options: Mapping[str, Any]) -> dict[str, TargetFacts]:
    """Targets called as their modules, with these options, each of which asks for labels of its name."""
    configs = {name: config_class_of("target", name)(**each) for name, each in options.items()}
    return {name: TargetFacts(name, published_by([config]), (name,)) for name, config in configs.items()}
