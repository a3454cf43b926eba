"""Encoded pictures → tensors of 8-bit channels."""

from __future__ import annotations

import io
import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

#: Beginnings of files that torchvision does not read and Pillow, on which it depends, does.
_OTHERS = (b"BM", b"II*\x00", b"MM\x00*")

_SOURCE_PLACE = re.compile(r"^.*?\.cpp:\d+, ", re.DOTALL)


def decode(data: bytes | NDArray[np.uint8], channels: int) -> Tensor:
    """A picture as (channels, height, width), uint8.

    Palettes are looked up, CMYK becomes RGB, greyscale is repeated for 3 channels and colours become luminance for 1,
    transparency is dropped, 16 bits are rounded to 8, and of an animation the first picture is taken. Pictures are
    turned as their EXIF data say.

    Args:
        data: the bytes of a JPEG, PNG, GIF, WebP, BMP or TIFF file.
        channels: 3 for RGB, 1 for greyscale.

    Raises:
        ValueError: the bytes are no such picture, or not all of it.
    """
    encoded = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    if encoded[:4].tobytes().startswith(_OTHERS):
        picture = _by_pillow(encoded)
    else:
        try:
            # A copy: the rows' memory is read-only, which torch warns of.
            picture = decode_image(torch.from_numpy(encoded.copy()), _mode(encoded, channels), True)
        except RuntimeError as error:
            lines = _SOURCE_PLACE.sub("", str(error)).strip().splitlines()
            raise ValueError(lines[0].rstrip(".") if lines else "unknown format") from None
    if picture.dim() == 4:
        picture = picture[0]
    if picture.dtype == torch.uint16:
        picture = (picture.float() / 257).round().to(torch.uint8)
    if picture.shape[0] != channels:
        to_wanted = functional.rgb_to_grayscale if channels == 1 else functional.grayscale_to_rgb
        picture = to_wanted(picture)
    return picture


def _mode(encoded: NDArray[np.uint8], channels: int) -> ImageReadMode:
    """GIF and WebP have no greyscale reader; their colours are converted afterwards."""
    colours = encoded[:4].tobytes() in (b"GIF8", b"RIFF") or channels == 3
    return ImageReadMode.RGB if colours else ImageReadMode.GRAY


def _by_pillow(encoded: NDArray[np.uint8]) -> Tensor:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(encoded.tobytes())) as opened:
            if opened.mode.startswith("I;16"):
                return torch.from_numpy((np.asarray(opened).astype(np.float32) / 257).round().astype(np.uint8))[None]
            turned = ImageOps.exif_transpose(opened)
            values = np.array(turned if turned.mode == "L" else turned.convert("RGB"))
    except Exception as error:  # Pillow has no class of its own for what it cannot read
        raise ValueError(str(error).strip().partition("\n")[0] or type(error).__name__) from None
    return torch.from_numpy(values if values.ndim == 3 else values[..., None]).permute(2, 0, 1).contiguous()
