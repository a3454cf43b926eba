"""Scaling of pictures and cropping to their centre."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

#: Only the centre is computed if the scaled picture has more pixels than the first number, and more than the second
#: number times the pixels that are kept.
_LARGE, _TIMES = 1 << 24, 16

_WAYS = {InterpolationMode.BILINEAR: Image.Resampling.BILINEAR, InterpolationMode.BICUBIC: Image.Resampling.BICUBIC}

#: Radius of the interpolation filter, in pixels of the smaller picture.
_REACH = {InterpolationMode.BILINEAR: 1, InterpolationMode.BICUBIC: 2}


def scaled_middle(picture: Tensor, scaled: tuple[int, int], size: tuple[int, int], mode: InterpolationMode) -> Tensor:
    """Scale a picture to ``scaled`` and return its centre of height and width ``size``.

    Only the centre is computed if the scaled picture would be very large: a single line of 30,000 pixels that is scaled
    to cover a square would have billions of pixels. Pillow then scales instead of torch; pixel values differ by at most
    1.

    Args:
        picture: (channels, height, width), uint8.
    """
    (height, width), (down, across) = size, scaled
    top, left = (down - height) // 2, (across - width) // 2
    if down * across > max(_LARGE, _TIMES * height * width):
        return _part(picture, scaled, (top, left), size, mode)
    larger: Tensor = functional.resize(picture, [down, across], mode, antialias=True)
    return larger[..., top : top + height, left : left + width]


def _part(
    picture: Tensor, scaled: tuple[int, int], place: tuple[int, int], size: tuple[int, int], mode: InterpolationMode
) -> Tensor:
    box: list[tuple[float, float]] = []  # per axis: start and end of the centre within the pixels that are read
    for axis, (whole, first, length) in enumerate(zip(scaled, place, size), start=1):
        pixels = picture.shape[axis]
        begin, end = first * pixels / whole, (first + length) * pixels / whole
        reach = _REACH[mode] * max(1.0, pixels / whole) + 1
        low, high = max(0, math.floor(begin - reach)), min(pixels, math.ceil(end + reach))
        picture = picture.narrow(axis, low, high - low)
        box.append((begin - low, min(end - low, high - low)))
    (top, bottom), (left, right) = box

    def resized(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        # Horizontally first, as torch does. In one call, Pillow takes the cheaper order, which changes bicubic pixels.
        narrow = Image.fromarray(plane).resize((size[1], len(plane)), _WAYS[mode], (left, 0, right, len(plane)))
        return np.asarray(narrow.resize(size[::-1], _WAYS[mode], (0, top, size[1], bottom)))

    return torch.from_numpy(np.stack([resized(np.ascontiguousarray(plane)) for plane in picture.numpy()]))
