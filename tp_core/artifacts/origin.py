"""The config.json of a model that was converted from Hugging Face. It is copied to models trained from it.

The export to Hugging Face needs its architecture and the keys that tp does not know.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tp_core.artifacts.find import find_model
from tp_core.artifacts.layout import ORIGIN
from tp_core.spec.schema import Spec


def keep_origin(spec: Spec, folder: Path) -> None:
    """Copy the config.json of the model that initialises a whole run into the run's folder, if there is one."""
    if source := spec.init_from.get(""):
        copy_origin(find_model(source)[0].parent, folder)


def copy_origin(source: Path, folder: Path) -> None:
    """Copy the file from one folder to another, if it exists."""
    if (source / ORIGIN).is_file():
        shutil.copyfile(source / ORIGIN, folder / ORIGIN)
