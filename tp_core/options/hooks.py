"""Base of options of hooks. Torch-free."""

from typing import ClassVar

from tp_core.options.base import ModuleConfig


class HooksConfig(ModuleConfig):
    """Base of hook configs. ``build`` returns an object with methods marked ``tp_core.hookimpl``."""

    kind: ClassVar[str] = "hooks"

    #: True if the hooks only observe and never change results: a run may be resumed with or without them.
    observes: ClassVar[bool] = False

    def build(self) -> object:
        """The object with the hooks: its implementation with these options."""
        made: object = self.implemented()(self)
        return made
