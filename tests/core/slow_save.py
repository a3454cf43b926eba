"""Hooks for test projects: saving takes a while, and a file says that it has begun."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig


class Config(HooksConfig):
    """Wait before each checkpoint is written."""

    observes: ClassVar[bool] = True
    seconds: float = Field(ge=0)

    def build(self) -> object:
        return SlowSave(self.seconds)


class SlowSave:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @hookimpl
    def tp_checkpoint_save(self, trainer: Any, state: dict[str, Any]) -> None:
        Path("saving").touch()
        time.sleep(self.seconds)
