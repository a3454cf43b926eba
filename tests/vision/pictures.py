"""Small pictures for tests, in any format."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random channels, (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(values: NDArray[Any], form: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """A picture's file: ``mode`` is Pillow's name for the kind of pixels (``P`` palette, ``L`` grey, ``CMYK``)."""
    image = Image.fromarray(values)
    buffer = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(buffer, form, **options)
    return buffer.getvalue()


def png(height: int = 8, width: int = 8, seed: int = 0) -> bytes:
    return encoded(pixels(height, width, seed))


def write_folders(folder: Path, classes: int = 2, each: int = 4, size: int = 8) -> Path:
    """``folder/<class>/<number>.png``; the classes differ in brightness."""
    for label in range(classes):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            values = pixels(size, size, 100 * label + number) // 4 + label * (190 // max(1, classes - 1))
            (folder / str(label) / f"{number}.png").write_bytes(encoded(values.astype(np.uint8)))
    return folder
