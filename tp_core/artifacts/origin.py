"""The config.json that a model came with from Hugging Face: it goes along with what is trained from it.

What it says of the architecture, and of what tp does not know, is needed on the way back.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tp_core.artifacts.find import find_model
from tp_core.artifacts.layout import ORIGIN
from tp_core.spec.schema import Spec


def keep_origin(spec: Spec, folder: Path) -> None:
    """Copy the file of the model that a run starts from as a whole, if it has one, into the run's folder."""
    if source := spec.init_from.get(""):
        copy_origin(find_model(source)[0].parent, folder)


def copy_origin(source: Path, folder: Path) -> None:
    """Copy the file from one folder to another, if it is there."""
    if (source / ORIGIN).is_file():
        shutil.copyfile(source / ORIGIN, folder / ORIGIN)
