"""Conversion between the options of our image processors and of those of transformers. Torch-free.

All supported image processors of transformers scale a picture, crop its centre and normalise it. They differ in their
default values. Both sides scale with the same functions of torchvision, so that pixels are equal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core.errors import TPError
from tp_core.interop.keys import Keys
from tp_core.options.base import Preprocessing
from tp_core.options.context import DataContext
from tp_vision.facts import GridFacts

if TYPE_CHECKING:
    from tp_vision.processors.options import PictureProcessorConfig

#: Our names of interpolations → Pillow's numbers.
_RESAMPLE = {"bilinear": 2, "bicubic": 3}
_OTHERS = {0: "nearest", 1: "lanczos", 4: "box", 5: "hamming"}

_USUAL: dict[str, Any] = {
    "do_resize": True,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "size": {"height": 224, "width": 224},
}
_CLIP: dict[str, Any] = {
    **_USUAL,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "size": {"shortest_edge": 224},
    "do_center_crop": True,
    "crop_size": 224,
}
#: Classes → their default values of keys that a file leaves out.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "ViTImageProcessor": {**_USUAL, "resample": 2},
    "DeiTImageProcessor": {**_USUAL, "size": 256, "do_center_crop": True, "crop_size": 224},
    "BeitImageProcessor": {**_USUAL, "crop_size": 224},
    "CLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,
    "ViltImageProcessor": {**_USUAL, "size": {"shortest_edge": 384}},
}
#: Classes that read a size of one number as the length of the shorter side.
_BY_SHORTER_SIDE = frozenset({"CLIPImageProcessor", "BitImageProcessor", "ViltImageProcessor"})


# -- ours → theirs -----------------------------------------------------------------------------------------------


def written(config: PictureProcessorConfig, data: DataContext) -> Preprocessing:
    """Content of a preprocessor_config.json, for the class that implements the option ``resize``."""
    height, width = config.size(data.fact(GridFacts))
    channels = config.channel_count(data.fact(GridFacts))
    if config.resize == "crop" and height != width:
        message = (
            f"it cannot scale pictures until they cover {height} x {width} pixels and then crop the centre "
            "(resize: crop); only resize: stretch can be written"
        )
        return Preprocessing(None, (message,))
    whole = config.whole((height, width))
    content: dict[str, Any] = {
        **_pipeline(config, (height, width), whole),
        "resample": _RESAMPLE[config.interpolation],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": _of_each(config.mean, channels),
        "image_std": _of_each(config.std, channels),
        "do_convert_rgb": channels == 3,
    }
    grey = "transformers does not convert colours to greyscale: give it pictures of one channel"
    return Preprocessing(content, () if channels == 3 else (grey,))


def _pipeline(config: PictureProcessorConfig, size: tuple[int, int], whole: tuple[int, int]) -> dict[str, Any]:
    """Class and sizes. All versions of CLIP's class scale by the shorter side and crop; ViT's do not."""
    exact, crop = _sides(size), {"do_center_crop": True, "crop_size": _sides(size)}
    if config.resize == "crop":
        scaled = {"do_resize": True, "size": {"shortest_edge": whole[0]}}
        return {"image_processor_type": "CLIPImageProcessor", **scaled, **crop}
    if config.resize == "none" or whole == size:
        resize = config.resize != "none"
        return {"image_processor_type": "ViTImageProcessor", "do_resize": resize, "size": exact}
    return {"image_processor_type": "DeiTImageProcessor", "do_resize": True, "size": _sides(whole), **crop}


def _sides(size: tuple[int, int]) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}


def _of_each(values: list[float], channels: int) -> list[float]:
    return [*values] * (channels if len(values) == 1 else 1)


# -- theirs → ours -----------------------------------------------------------------------------------------------


#: Keys that a size may have.
_SIDES = {"height", "width", "shortest_edge", "longest_edge", "max_height", "max_width"}


class _Size(NamedTuple):
    """Size from a config: height and width, or the shorter side; both are None if it sets something else."""

    exact: tuple[int, int] | None = None
    shorter: int | None = None


def read(config: PictureProcessorConfig, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
    """Convert a preprocessor_config.json to options of the processor.

    Raises:
        TPError: a value is not valid for transformers.
    """
    content = content if isinstance(content, Keys) else Keys(content)
    name = _class_of(content)
    notes: list[str] = []
    if name is not None and name not in _DEFAULTS:
        notes.append(f"the class '{name}' is unknown; only the usual keys are converted")
    usual = _DEFAULTS.get(name or "", {})
    found = content | {key: value for key, value in usual.items() if content.plain(key) is None}
    options = {
        **_scaling(config, found, name, data, notes),
        **_interpolation(found, notes),
        **_statistics(found, config.channel_count(data.fact(GridFacts))),
    }
    return Preprocessing(options, tuple(notes))


def _class_of(content: Mapping[str, Any]) -> str | None:
    """Name of the class in a file, without the suffixes of older and other versions."""
    name = content.get("image_processor_type") or content.get("feature_extractor_type")
    if name is None:
        return None
    if not isinstance(name, str):
        raise TPError(f"'image_processor_type' is {json.dumps(name)}; expected a name")
    for ending in ("Fast", "Pil"):
        name = name.removesuffix(ending)
    return name.removesuffix("FeatureExtractor") + "ImageProcessor" if name.endswith("FeatureExtractor") else name


def _flag(found: Mapping[str, Any], key: str, default: bool) -> bool:
    value = default if found.get(key) is None else found[key]
    if not isinstance(value, bool):
        raise TPError(f"'{key}' is {json.dumps(value)}; expected true or false")
    return value


def _scaling(
    config: PictureProcessorConfig, found: Keys, name: str | None, data: DataContext, notes: list[str]
) -> dict[str, Any]:
    """The options ``resize`` and ``crop_fraction``."""
    resize, cut = _flag(found, "do_resize", True), _flag(found, "do_center_crop", False)
    if not resize:
        found.mark("size", "default_to_square")
    if not cut:
        found.mark("crop_size")
    if resize and found.plain("size") is None:
        return {}
    shorter = not _flag(found, "default_to_square", name not in _BY_SHORTER_SIDE)
    size = _size("size", found.plain("size"), shorter) if resize else _Size()
    crop = _size("crop_size", found.plain("crop_size"), False).exact if cut else None
    expected = config.size(data.fact(GridFacts))
    target = crop or (size.exact if resize else expected)
    if target is not None and target != expected:
        made, ours = (" x ".join(map(str, each)) for each in (target, expected))
        notes.append(
            f"makes pictures of {made} pixels, but the model's have {ours}; tp makes pictures of the model's size"
        )
    if not resize and crop is None:
        return {"resize": "none"}
    way = "crop" if size.exact is None else "stretch"
    usual = {"resize": way, "crop_fraction": 1.0}
    if not resize:
        notes.append("cuts the middle out of pictures as they are; tp scales them first (resize: crop)")
        return usual
    if size.exact is None and size.shorter is None:
        notes.append(
            f"has the size {json.dumps(found.plain('size'))}, which tp does not support; resize: crop is used instead"
        )
        return usual
    if crop is None:
        if size.exact is None:
            keeps = "keeps the proportions of pictures, so that their sizes differ; tp makes one size (resize: crop)"
            notes.append(keeps)
        return usual
    whole = size.exact or (size.shorter or 0, size.shorter or 0)
    if size.exact is None and crop[0] != crop[1]:
        notes.append(
            "crops to a size that is not square; tp scales pictures until they just cover this size (resize: crop)"
        )
        return usual
    fraction = crop[0] / whole[0]
    if fraction > 1 or any(round(part / fraction) != side for part, side in zip(crop, whole)):
        notes.append("cuts out pictures of other proportions than those that it scales to; tp does not crop")
        return usual
    return {"resize": way, "crop_fraction": fraction}


def _size(key: str, value: Any, by_shorter_side: bool) -> _Size:
    whole = isinstance(value, int) and not isinstance(value, bool)
    sides = value
    if isinstance(value, dict):
        if value.keys() - _SIDES:
            raise TPError(f"'{key}' is {json.dumps(value)}; expected a height and a width")
        sides = [value[side] for side in ("height", "width", "shortest_edge") if value.get(side) is not None]
        if "shortest_edge" in value and len(sides) == 1 and not value.get("longest_edge"):
            return _Size(shorter=_side(key, sides[0], value))
        if len(sides) != 2 or value.get("shortest_edge") is not None:
            return _Size()  # a size of the longer side, or a number of pixels
    if whole:
        return _Size(shorter=_side(key, value, value)) if by_shorter_side else _Size((_side(key, value, value),) * 2)
    if isinstance(sides, list) and len(sides) == 2:
        return _Size((_side(key, sides[0], value), _side(key, sides[1], value)))
    raise TPError(f"'{key}' is {json.dumps(value)}; expected a height and a width")


def _side(key: str, side: Any, value: Any) -> int:
    if not isinstance(side, int) or isinstance(side, bool) or side < 1:
        raise TPError(f"'{key}' is {json.dumps(value)}; expected whole numbers of pixels")
    return side


def _interpolation(found: Keys, notes: list[str]) -> dict[str, Any]:
    if not _flag(found, "do_resize", True):
        found.mark("resample")
        return {}
    number = found.get("resample")
    if number is None:
        return {}
    for ours, theirs in _RESAMPLE.items():
        if number == theirs:
            return {"interpolation": ours}
    if not isinstance(number, int) or number not in _OTHERS:
        raise TPError(f"'resample' is {json.dumps(number)}; expected a number from 0 to 5")
    near = "bicubic" if number == 1 else "bilinear"
    notes.append(f"interpolates by {_OTHERS[number]}, which tp does not support; interpolation: {near} is used instead")
    return {"interpolation": near}


def _statistics(found: Keys, channels: int) -> dict[str, Any]:
    """The options ``mean`` and ``std`` for pixels from 0 to 1, converted from any ``rescale_factor``."""
    scale = 1.0
    if found.get("do_rescale") is not None or found.get("rescale_factor") is not None:
        given = found.get("rescale_factor")
        factor = (1 / 255 if given is None else given) if _flag(found, "do_rescale", True) else 1.0
        if not isinstance(factor, (int, float)) or isinstance(factor, bool) or factor <= 0:
            raise TPError(f"'rescale_factor' is {json.dumps(factor)}; expected a number above 0")
        scale = 255 * factor
        scale = 1.0 if math.isclose(scale, 1) else scale
    if not _flag(found, "do_normalize", True):
        found.mark("image_mean", "image_std")
        return {"mean": [0.0], "std": [1 / scale]}
    keys = {"mean": "image_mean", "std": "image_std"}
    return {
        ours: [each / scale for each in _numbers(key, found[key], channels)]
        for ours, key in keys.items()
        if found.get(key)
    }


def _numbers(key: str, value: Any, channels: int) -> list[float]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        raise TPError(f"'{key}' is {json.dumps(value)}; expected numbers")
    found = [float(each) for each in values]
    return found[:1] if len(set(found)) == 1 and len(found) == channels else found
