"""Pictures that are scaled, of which the middle is kept."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

#: Pixels that a scaled picture may have, and how many times those that are kept, before only these are computed.
_LARGE, _TIMES = 1 << 24, 16

_WAYS = {InterpolationMode.BILINEAR: Image.Resampling.BILINEAR, InterpolationMode.BICUBIC: Image.Resampling.BICUBIC}

#: How far from a pixel's place those reach that it is made of, in pixels of the smaller picture.
_REACH = {InterpolationMode.BILINEAR: 1, InterpolationMode.BICUBIC: 2}


def scaled_middle(picture: Tensor, scaled: tuple[int, int], size: tuple[int, int], mode: InterpolationMode) -> Tensor:
    """The middle, of height and width ``size``, of a picture that is scaled to ``scaled``.

    Of pictures that are far longer than wide, the rest is not computed: 30,000 pixels in one line, which are to cover a
    square, would have billions. Pillow then scales, whose pixels differ from torch's by at most one shade.

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
    box: list[tuple[float, float]] = []  # of each axis, first and last place within the pixels that are needed
    for axis, (whole, first, length) in enumerate(zip(scaled, place, size), start=1):
        pixels = picture.shape[axis]
        begin, end = first * pixels / whole, (first + length) * pixels / whole
        reach = _REACH[mode] * max(1.0, pixels / whole) + 1
        low, high = max(0, math.floor(begin - reach)), min(pixels, math.ceil(end + reach))
        picture = picture.narrow(axis, low, high - low)
        box.append((begin - low, min(end - low, high - low)))
    (top, bottom), (left, right) = box

    def resized(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        # Along lines first, as torch does: at once, Pillow takes the cheaper order, and bicubic pixels are others.
        narrow = Image.fromarray(plane).resize((size[1], len(plane)), _WAYS[mode], (left, 0, right, len(plane)))
        return np.asarray(narrow.resize(size[::-1], _WAYS[mode], (0, top, size[1], bottom)))

    return torch.from_numpy(np.stack([resized(np.ascontiguousarray(plane)) for plane in picture.numpy()]))
