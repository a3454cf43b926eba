"""The interface of formats of models, which ``tp convert`` reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.options.base import ModuleConfig

#: Receives notes for the user.
Say = Callable[[str], None]


class Format:
    """A format of models. A format that can only be read or only be written overrides one method.

    Args:
        config: the options.
        name: the name of the format, for messages.
    """

    def __init__(self, config: ModuleConfig, name: str) -> None:
        self.name = name

    def read(self, source: Path, folder: Path, say: Say) -> None:
        """Convert a model of this format to one of tp.

        Args:
            source: the model's file or folder.
            folder: an empty folder for the files of the model. Its manifest is written afterwards.
            say: receives notes for the user.

        Raises:
            TPError: the model cannot be converted.
        """
        raise TPError(f"models of the format '{self.name}' cannot be read, only written")

    def write(self, source: Path, folder: Path, say: Say) -> None:
        """Convert a model of tp to this format.

        Args:
            source: a model, run or checkpoint of tp.
            folder: an empty folder.
            say: receives notes for the user.

        Raises:
            TPError: the model cannot be converted.
        """
        raise TPError(f"models of the format '{self.name}' cannot be written, only read")
