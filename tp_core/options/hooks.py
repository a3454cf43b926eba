"""Base of options of hooks. Torch-free."""

from typing import ClassVar

from tp_core.options.base import ModuleConfig


class HooksConfig(ModuleConfig):
    """Base of hook configs. ``build`` returns an object with methods marked ``tp_core.hookimpl``."""

    kind: ClassVar[str] = "hooks"

    #: The hooks only look on, and change nothing that is computed: a run may go on with them or without.
    observes: ClassVar[bool] = False

    def build(self) -> object:
        """The object with the hooks: its implementation with these options."""
        made: object = self.implemented()(self)
        return made
