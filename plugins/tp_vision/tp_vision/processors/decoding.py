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

#: Beginnings of the files that torchvision reads, and reads safely.
_TORCHVISION = (b"\xff\xd8", b"GIF8")

#: Beginnings of those that Pillow, on which torchvision depends, reads: PNG, BMP, TIFF, and WebP. Of a damaged PNG,
#: torchvision ends the whole process (an error of libpng jumps over frames that are gone); of a WebP it reads no EXIF.
_PILLOW = (b"\x89PNG", b"BM", b"II*\x00", b"MM\x00*")

#: Parts of red, green and blue in luminance (ITU-R BT.601), as of Pillow and JPEG; together one.
_LUMINANCE = (0.299, 0.587, 0.114)

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
    beginning = encoded[:4].tobytes()
    try:
        if beginning.startswith(_PILLOW) or (beginning == b"RIFF" and encoded[8:12].tobytes() == b"WEBP"):
            picture = _by_pillow(encoded)
        elif beginning.startswith(_TORCHVISION):
            # A copy: the rows' memory is read-only, which torch warns of.
            picture = decode_image(torch.from_numpy(encoded.copy()), _mode(encoded, channels), True)
        else:
            raise ValueError("it is no picture; JPEG, PNG, GIF, WebP, BMP and TIFF can be read")
    except (RuntimeError, _Damaged) as error:
        lines = _SOURCE_PLACE.sub("", str(error)).strip().splitlines()
        detail = f" ({lines[0].rstrip('.')})" if lines else ""
        raise ValueError(f"it is damaged or cut off{detail}") from None
    if picture.dim() == 4:
        picture = picture[0]
    if picture.dtype == torch.uint16:
        picture = (picture.float() / 257).round().to(torch.uint8)
    if picture.shape[0] != channels:
        picture = _luminance(picture) if channels == 1 else functional.grayscale_to_rgb(picture)
    return picture


def _mode(encoded: NDArray[np.uint8], channels: int) -> ImageReadMode:
    """GIF has no greyscale reader; its colours are converted afterwards."""
    colours = encoded[:4].tobytes() == b"GIF8" or channels == 3
    return ImageReadMode.RGB if colours else ImageReadMode.GRAY


def _luminance(picture: Tensor) -> Tensor:
    """(3, height, width) → (1, height, width), rounded: grey stays what it is."""
    parts = torch.tensor(_LUMINANCE).view(3, 1, 1)
    return (picture * parts).sum(dim=0, keepdim=True).round().to(torch.uint8)


class _Damaged(Exception):
    """What Pillow says of a file that it cannot read; it has no class of its own for that."""


def _by_pillow(encoded: NDArray[np.uint8]) -> Tensor:
    from PIL import Image, ImageOps

    try:
        if encoded[:2].tobytes() in (b"RI", b"II", b"MM"):
            Image.init()  # of WebP and TIFF; open() would, but can miss a format that another thread is loading
        with Image.open(io.BytesIO(encoded.tobytes())) as opened:
            opened.load()
            turned = ImageOps.exif_transpose(opened)
            deep = turned.mode.startswith("I;16") or (turned.mode == "I" and opened.format == "PNG")
            known = deep or turned.mode not in ("I", "F")
            values = np.array(turned if deep or turned.mode == "L" or not known else turned.convert("RGB"))
    except Exception as error:
        raise _Damaged(str(error).strip() or type(error).__name__) from None
    if not known:
        kind = "floating-point numbers" if turned.mode == "F" else "integers of 32 bits"
        raise ValueError(f"its pixels are {kind}; 8 or 16 bits are expected")
    if deep:
        values = (values.astype(np.float32) / 257).round().astype(np.uint8)
    return torch.from_numpy(values if values.ndim == 3 else values[..., None]).permute(2, 0, 1).contiguous()
