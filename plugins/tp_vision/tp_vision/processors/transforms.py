"""Sizes, normalisation and random changes of pictures, through ``torchvision.transforms.v2``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from tp_vision.processors.options import Augmentation, PictureProcessorConfig
from tp_vision.processors.scaling import scaled_middle


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator, which the transforms use, and restore its state at the end.

    ``torch.manual_seed`` would also seed the generators of other devices, which takes longer than a transform.
    """
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


class Pictures:
    """Decoded pictures → normalised tensors of one size, with or without random changes.

    Args:
        size: height and width of the tensors.
        channels: channels of the pictures.
    """

    def __init__(self, config: PictureProcessorConfig, size: tuple[int, int], channels: int) -> None:
        self.config, self.size = config, size
        self.mode = v2.InterpolationMode(config.interpolation)
        self.mean = torch.tensor(config.mean).view(-1, 1, 1)
        self.std = torch.tensor(config.std).view(-1, 1, 1)
        augment = config.augment
        self.resized_crop: v2.Transform | None = None
        if augment.crop == "resized":
            scale = (augment.crop_scale[0], augment.crop_scale[1])
            self.resized_crop = v2.RandomResizedCrop(size, scale, interpolation=self.mode, antialias=True)
        self.before = _changes(augment, size)
        self.erasing = v2.RandomErasing(augment.random_erasing) if augment.random_erasing else None

    def fits(self, picture: Tensor) -> bool:
        """True if the picture can be used: ``resize`` is not ``none``, or the picture has the model's size."""
        return self.config.resize != "none" or tuple(picture.shape[-2:]) == self.size

    def plain(self, picture: Tensor) -> Tensor:
        """Resize and normalise: (channels, any height, any width) uint8 → (channels, height, width) float32."""
        return self.normalised(self.resized(picture))

    def augmented(self, picture: Tensor, generator: np.random.Generator) -> Tensor:
        """Like :meth:`plain`, with random changes that depend on the generator only."""
        with seeded(int(generator.integers(2**63))):
            picture = self.resized(picture) if self.resized_crop is None else self.resized_crop(picture)
            for change in self.before:
                picture = change(picture)
            found = self.normalised(picture)
            return found if self.erasing is None else self.erasing(found)

    def resized(self, picture: Tensor) -> Tensor:
        done = tuple(picture.shape[-2:]) == self.size and self.config.crop_fraction == 1
        if self.config.resize == "none" or done:
            return picture
        return scaled_middle(picture, self._scaled(picture.shape[-2], picture.shape[-1]), self.size, self.mode)

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture is scaled to, rounded like in torchvision and transformers."""
        down, across = self.config.whole(self.size)
        if self.config.resize == "stretch":
            return down, across
        if down * width >= across * height:  # the height decides
            return down, down * width // height
        return across * height // width, across

    def normalised(self, picture: Tensor) -> Tensor:
        return (picture.float() / 255 - self.mean) / self.std


def _changes(augment: Augmentation, size: tuple[int, int]) -> list[v2.Transform]:
    """Random changes that apply to 8-bit pictures of the final size."""
    found: list[v2.Transform] = []
    if augment.crop == "padded":
        found.append(v2.RandomCrop(size, padding=augment.crop_padding))
    if augment.flip:
        found.append(v2.RandomHorizontalFlip(augment.flip))
    if augment.rand_augment:
        found.append(v2.RandAugment(augment.rand_augment, augment.rand_magnitude))
    return found


def draw_mix(augment: Augmentation, generator: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Draw the five random numbers with which a sample is mixed, as (5,) float32.

    They are the sorting key, the share of the sample itself, 1 for CutMix or 0 for mixup, and the vertical and
    horizontal centre of the cut, from 0 to 1. Samples are mixed when they are collated. The numbers are drawn earlier,
    so that they depend on the sample and not on its batch.
    """
    key, chance, kind, down, across = generator.random(5)
    cuts = augment.cutmix > 0 and (augment.mixup == 0 or kind < 0.5)
    alpha = augment.cutmix if cuts else augment.mixup
    part = generator.beta(alpha, alpha) if chance < augment.mix_rate else 1.0
    return np.array([key, part, cuts, down, across], dtype=np.float32)


def mixed(pixels: Tensor, labels: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Mix each sample with the next sample of the batch in the order of the sorting keys.

    Args:
        pixels: (batch, channels, height, width).
        labels: (batch, classes) probabilities.
        numbers: (batch, 5), from :func:`draw_mix`.

    Returns:
        Mixed pixels and probabilities with unchanged shapes.
    """
    order = numbers[:, 0].argsort()
    partner = torch.empty_like(order)
    partner[order] = order.roll(-1)
    parts = numbers[:, 1].clone()
    others = pixels[partner]
    found = torch.lerp(others, pixels, parts.view(-1, 1, 1, 1))
    height, width = pixels.shape[-2:]
    for number in numbers[:, 2].nonzero().flatten().tolist():
        found[number] = pixels[number]
        edge = math.sqrt(max(0.0, 1.0 - float(parts[number])))
        top, bottom = _span(float(numbers[number, 3]), edge, height)
        left, right = _span(float(numbers[number, 4]), edge, width)
        found[number, :, top:bottom, left:right] = others[number, :, top:bottom, left:right]
        parts[number] = 1 - (bottom - top) * (right - left) / (height * width)
    return found, torch.lerp(labels[partner], labels, parts.unsqueeze(1))


def _span(middle: float, edge: float, size: int) -> tuple[int, int]:
    """Start and end of a cut in pixels, limited to the picture."""
    half = round(edge * size) / 2
    return max(0, round(middle * size - half)), min(size, round(middle * size + half))
