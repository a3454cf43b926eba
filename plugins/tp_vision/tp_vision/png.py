"""Tensors → picture files."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor


def write_png(picture: Tensor, path: Path) -> None:
    """Write a picture with one or three channels, (channels, height, width) uint8, as PNG."""
    values = picture.cpu().permute(1, 2, 0).numpy()
    Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values).save(path, "PNG")
