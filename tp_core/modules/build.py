"""Building of modules from their options."""

from __future__ import annotations

from typing import Any

from torch import nn

from tp_core.options.context import BuildContext
from tp_core.packages.plugin_errors import expect


def built(config: Any, context: BuildContext | int, base: type[nn.Module] = nn.Module) -> Any:
    """The module that the options build.

    Args:
        config: the options.
        context: the context of the module; of a norm, the width of the states.
        base: the class of which the module must be an instance.

    Raises:
        PluginError: the options build something else.
    """
    what = "a torch module" if base is nn.Module else f"a {base.__name__}"
    return expect(config.build(context), base, config, "build", what)
