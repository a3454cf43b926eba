"""Modules from their options."""

from __future__ import annotations

from typing import Any

from torch import nn

from tp_core.options.context import BuildContext
from tp_core.plugin_errors import expect


def built(config: Any, context: BuildContext) -> Any:
    """The module that options make.

    Raises:
        PluginError: what they make is no torch module.
    """
    return expect(config.build(context), nn.Module, config, "build", "a torch module")
