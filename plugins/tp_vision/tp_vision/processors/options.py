"""Options that all image processors share. Torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import Preprocessing, Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.huggingface import PreprocessorFile
from tp_core.options.ports import Port
from tp_core.options.processor import ProcessorConfig
from tp_core.options.section import Section
from tp_core.spec.trained.use import in_use
from tp_vision.embeddings.options import Size, pair
from tp_vision.facts import GridFacts, PictureFacts, TokenFacts
from tp_vision.ports import PIXEL_VALUES

#: Default maximum number of pixels, as in Pillow, which warns above it and refuses above twice this number.
MAX_PIXELS = 89_478_485


class Augmentation(Section):
    """Random changes of pictures in training. By default, nothing is changed."""

    crop: Literal["none", "padded", "resized"] = Field(
        "none",
        description="padded: a random crop of the picture with a margin around it; resized: a random crop of random "
        "size, scaled to the model's size",
    )
    crop_padding: int = Field(4, gt=0, description="width of the margin of crop: padded, in pixels")
    crop_scale: list[float] = Field(
        [0.08, 1.0],
        min_length=2,
        max_length=2,
        description="minimum and maximum area of crop: resized, as share of the picture",
    )
    flip: float = Field(0.0, ge=0, le=1, description="probability of a horizontal flip")
    rand_augment: int = Field(0, ge=0, description="number of operations of RandAugment (Cubuk et al., 2020); 0: none")
    rand_magnitude: int = Field(9, ge=0, le=30, description="magnitude of these operations, from 0 to 30")
    random_erasing: float = Field(
        0.0, ge=0, le=1, description="probability of erasing a rectangle (Zhong et al., 2020)"
    )
    mixup: float = Field(0.0, ge=0, description="alpha of mixup (Zhang et al., 2018); 0: none")
    cutmix: float = Field(
        0.0,
        ge=0,
        description="alpha of CutMix (Yun et al., 2019); 0: none; if mixup is set too, each is used half of the time",
    )
    mix_rate: float = Field(1.0, ge=0, le=1, description="share of samples that are mixed with another sample")

    def mixes(self) -> bool:
        """True if samples are mixed with each other, so that labels become probabilities."""
        return (self.mixup > 0 or self.cutmix > 0) and self.mix_rate > 0

    def check(self) -> Iterator[Problem]:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            yield Problem("augment", f"crop_scale: expected 0 < smallest <= largest <= 1, got [{low:g}, {high:g}]")


class PictureProcessorConfig(PreprocessorFile, ProcessorConfig):
    """Options that all image processors share: pictures become tensors of one size."""

    terms: ClassVar[Mapping[str, str]] = {
        "augment": (
            "auto_augment augmentation transforms aa image_preprocess augmentations color_jitter hflip vflip "
            "reprob scale ratio no_aug randaugment mixup_alpha cutmix_alpha mixup_prob random_erase"
        ),
        "interpolation": "resample train_interpolation",
        "mean": "image_mean",
        "std": "image_std",
        "crop_fraction": "crop_pct",
        "image_size": "image_height image_width img_size resolution",
    }

    needs_tokenizer: ClassVar[bool] = False
    sampling_options: ClassVar[frozenset[str]] = frozenset({"augment", "mean", "std", "interpolation"})
    media_fields: ClassVar[frozenset[str]] = frozenset({"image"})
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset(
        {
            # About pictures that are not RGB: they are converted to the model's channels.
            "do_convert_rgb",
            # About the layout of arrays.
            *("input_data_format", "data_format"),
            # About padding: pictures of one size need none; a note reports processors that keep proportions.
            *("do_pad", "size_divisor", "size_divisibility"),
            # About segmentation maps.
            *("do_reduce_labels", "reduce_labels"),
        }
    )
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "use_square_size": (False,)
    }  # written by older CLIP processors

    image_size: Size | None = Field(
        None, description="height and width in pixels, or [height, width]; default: the model's"
    )
    channels: Literal[1, 3] | None = Field(None, description="3 for RGB, 1 for greyscale; default: the model's")
    resize: Literal["crop", "stretch", "none"] = Field(
        "crop",
        description="crop: scale until the picture covers image_size, then crop the centre; stretch: scale to "
        "image_size without keeping proportions; none: pictures of another size are bad records",
    )
    crop_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="resize crop or stretch: share of the scaled height and width that the centre crop keeps",
    )
    max_pixels: int = Field(
        MAX_PIXELS,
        gt=0,
        le=2 * MAX_PIXELS,
        description="maximum of height times width; larger pictures are bad records and are not decoded",
    )
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: list[float] = Field(
        [0.5],
        min_length=1,
        description="subtracted from pixels in [0, 1]; one number for all channels, or one per channel",
    )
    std: list[float] = Field(
        [0.5],
        min_length=1,
        description="divides the pixels after that; one number for all channels, or one per channel",
    )
    augment: Augmentation = Field(default_factory=Augmentation, description="random changes during training")

    def size(self, grid: GridFacts | None) -> tuple[int, int]:
        """Height and width of the tensors, in pixels."""
        if self.image_size is not None:
            return pair(self.image_size)
        if grid is None:
            return 224, 224
        return grid.height * grid.patch_size[0], grid.width * grid.patch_size[1]

    def whole(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that pictures are scaled to, or scaled to cover, before the centre ``size`` is cropped."""
        return round(size[0] / self.crop_fraction), round(size[1] / self.crop_fraction)

    def channel_count(self, grid: GridFacts | None) -> int:
        """Number of channels of the tensors."""
        return self.channels or (3 if grid is None else grid.channels)

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        shape = ("batch", self.channel_count(context.fact(GridFacts)), *self.size(context.fact(GridFacts)))
        return {PIXEL_VALUES: FieldSpec(shape, "float32")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        grid = context.fact(GridFacts)
        if grid is not None:
            expected = grid.height * grid.patch_size[0], grid.width * grid.patch_size[1]
            if self.size(grid) != expected:
                size = " x ".join(map(str, expected))
                yield Problem("image_size", f"the model's pictures have {size} pixels; leave it out, or set the same")
            if self.channel_count(grid) not in (1, 3):
                yield Problem("", f"makes pictures with 1 or 3 channels, but the model's patches have {grid.channels}")
            elif self.channel_count(grid) != grid.channels:
                yield Problem("channels", f"the model's patches have {grid.channels}; leave it out, or set the same")
        for name in ("mean", "std"):
            count, channels = len(getattr(self, name)), self.channel_count(grid)
            if count not in (1, channels):
                yield Problem(name, f"has {count} numbers for {channels} channels")
        if min(self.std) <= 0:
            yield Problem("std", f"must be greater than 0, got {min(self.std):g}")
        yield from self.augment.check()

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        for name, target in data.targets.items():
            known = _pictures_of(target.fact(TokenFacts))
            if known is None:
                continue
            channels = self.channel_count(data.fact(GridFacts))
            for option, expected in (("mean", known.mean), ("std", known.std)):
                own = getattr(self, option)
                if _of_each(own, channels) != _of_each(expected, channels):
                    message = f"is {own}, but the tokenizer of model.target.{name} expects {[*expected]}"
                    yield Problem(option, f"{message}; both must see the same pixels")

    def to_huggingface(self, data: DataContext) -> Preprocessing:
        from tp_vision.processors.huggingface import written

        return written(self, data)

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
        from tp_vision.processors.huggingface import read

        return read(self, content, data)


def _pictures_of(predicted: TokenFacts | None) -> PictureFacts | None:
    """Facts about the pictures that the visual tokenizer of a target expects; None if there are none."""
    if predicted is None or in_use():
        return None  # a trained model is used without the tokenizer that made its labels
    try:
        pictures: PictureFacts | None = predicted.tokenizer.config.pictures()
        return pictures
    except TPError:
        return None  # the target reports the error


def _of_each(values: Sequence[float], channels: int) -> list[float]:
    return [*values] * (channels if len(values) == 1 else 1)
