"""Encoded pictures → tensors of 8-bit channels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from tp_core.data.sources.memory_lock import MemoryLock
from tp_vision.processors.jpeg import is_cut
from tp_vision.processors.options import MAX_PIXELS
from tp_vision.processors.picture_files import DamagedPictureError, Opened, opened
from tp_vision.processors.tiff import EXPECTED

#: The EXIF tag of the orientation, and the operation that undoes each of its values.
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Pictures with more pixels are decoded one at a time, to limit the memory that several threads use together.
_LARGE = 1 << 24
_memory = MemoryLock()


def decode(data: bytes | NDArray[np.uint8], channels: int, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Decode a picture to (channels, height, width), uint8.

    Palettes and CMYK become RGB. For 3 channels, greyscale is repeated; for 1 channel, colours become luminance (ITU-R
    BT.601). Transparency is dropped. 9 to 16 bits are scaled to 8. The first picture of an animation or of several
    pages is taken. Pictures are rotated and flipped by the orientation in their EXIF data, or else in XMP.

    Args:
        data: the bytes of a JPEG, PNG, GIF, WebP, BMP, TIFF, PPM, PGM, PBM, AVIF or TGA file.
        channels: 3 for RGB, 1 for greyscale.
        max_pixels: maximum of height times width; it is checked before memory is allocated.

    Raises:
        ValueError: the bytes are not a picture of these formats, are incomplete, or have too many pixels.
    """
    file = opened(data if isinstance(data, bytes) else data.tobytes(), max_pixels)
    width, height = file.picture.size
    try:
        with _memory.alone(width * height > _LARGE):
            values = _pixels(file, channels)
    except MemoryError:
        raise ValueError(f"there is not enough memory for its {height} x {width} pixels") from None
    return torch.from_numpy(values).permute(2, 0, 1)


def _pixels(file: Opened, channels: int) -> NDArray[np.uint8]:
    """Pixels as (height, width, channels), the memory layout that torch resizes fastest."""
    picture, tiff = file.picture, file.tiff
    if channels == 1 and picture.format == "JPEG":
        picture.draft("L", None)  # use the luminance that the file stores
    try:
        picture.load()
        cut = isinstance(picture, JpegImageFile) and file.scans is not None and is_cut(picture, file.data, file.scans)
    except MemoryError:
        raise
    except Exception as error:
        raise DamagedPictureError(str(error) or type(error).__name__) from None
    if cut:
        raise DamagedPictureError("some of its coded data are missing")
    turned = _turned(picture)
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        table = _shades(65535, False) if tiff is None else _shades(tiff.whitest, tiff.inverted)
        shades = table[np.asarray(turned)][..., None]
        return np.repeat(shades, channels, axis=2)
    if picture.mode in ("I", "F"):
        kind = "floating-point numbers" if picture.mode == "F" else "integers of 32 bits"
        raise ValueError(f"its pixels are {kind}; {EXPECTED}")
    values = np.array(_converted(turned, "RGB" if channels == 3 else "L"))
    return values if values.ndim == 3 else values[..., None]


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == mode:
        return picture
    picture.info.pop("transparency", None)  # otherwise Pillow would blend it into the colours
    premultiplied = {"RGBa": "RGBA", "La": "LA"}.get(picture.mode)
    try:
        return (picture if premultiplied is None else picture.convert(premultiplied)).convert(mode)
    except ValueError:
        raise ValueError(f"its colours are {picture.mode}, which is not supported") from None


def _turned(picture: ImageFile) -> Image.Image:
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except Exception:  # the pixels are usable without their metadata
        return picture
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


@lru_cache
def _shades(whitest: int, inverted: bool) -> NDArray[np.uint8]:
    """Table of the nearest 8-bit value of each 16-bit value."""
    values = np.arange(65536).clip(0, whitest)
    shades: NDArray[np.uint8] = ((whitest - values if inverted else values) * 255 / whitest).round().astype(np.uint8)
    return shades
