"""Options that processors of pictures share. Torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import Preprocessing, Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.huggingface import PreprocessorFile
from tp_core.options.ports import PIXEL_VALUES, Port
from tp_core.options.processor import ProcessorConfig
from tp_core.options.section import Section
from tp_core.spec.trained.use import in_use
from tp_vision.embeddings.options import Size, pair
from tp_vision.facts import GridFacts, PictureFacts, TokenFacts

#: Most pixels of a picture, those of Pillow: more is what it warns of, and twice as many what it refuses.
MAX_PIXELS = 89_478_485


class Augmentation(Section):
    """Random changes of pictures in training. By default, nothing is changed."""

    crop: Literal["none", "padded", "resized"] = Field(
        "none", description="padded: a random part of the picture with a margin around it; resized: of any size"
    )
    crop_padding: int = Field(4, gt=0, description="width of that margin, in pixels")
    crop_scale: list[float] = Field(
        [0.08, 1.0], min_length=2, max_length=2, description="smallest and largest area of crop: resized"
    )
    flip: float = Field(0.0, ge=0, le=1, description="chance to swap left and right")
    rand_augment: int = Field(0, ge=0, description="operations of RandAugment (Cubuk et al., 2020); 0 for none")
    rand_magnitude: int = Field(9, ge=0, le=30, description="their strength, of 30")
    random_erasing: float = Field(0.0, ge=0, le=1, description="chance to blank a rectangle (Zhong et al., 2020)")
    mixup: float = Field(0.0, ge=0, description="alpha of mixup (Zhang et al., 2018); 0 for none")
    cutmix: float = Field(0.0, ge=0, description="alpha of CutMix (Yun et al., 2019); with mixup, each has half")
    mix_rate: float = Field(1.0, ge=0, le=1, description="part of the samples that is mixed with another")

    def mixes(self) -> bool:
        """True if samples are mixed with each other, so that labels become probabilities."""
        return (self.mixup > 0 or self.cutmix > 0) and self.mix_rate > 0

    def check(self) -> Iterator[Problem]:
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            yield Problem("augment", f"crop_scale: expected 0 < smallest <= largest <= 1, got [{low:g}, {high:g}]")


class PictureProcessorConfig(PreprocessorFile, ProcessorConfig):
    """Options that all image processors share: pictures become tensors of one size."""

    needs_tokenizer: ClassVar[bool] = False
    sampling_options: ClassVar[frozenset[str]] = frozenset({"augment", "mean", "std", "interpolation"})
    media_fields: ClassVar[frozenset[str]] = frozenset({"image"})
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset(
        {
            # Of pictures that are not RGB: they become what the model's channels ask for.
            "do_convert_rgb",
            # Of the form of arrays.
            *("input_data_format", "data_format"),
            # Pictures of one size are padded by nothing; a note tells of those that keep their proportions.
            *("do_pad", "size_divisor", "size_divisibility"),
            # Of maps for segmentation.
            *("do_reduce_labels", "reduce_labels"),
        }
    )
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {"use_square_size": (False,)}  # of older CLIP processors

    image_size: Size | None = Field(
        None, description="height and width in pixels, or [height, width]; unset: the model's"
    )
    channels: Literal[1, 3] | None = Field(None, description="3 for RGB, 1 for greyscale; unset: the model's")
    resize: Literal["crop", "stretch", "none"] = Field(
        "crop",
        description="crop: scale until the picture covers image_size, and cut its middle out; stretch: change its "
        "proportions; none: refuse pictures of another size",
    )
    crop_fraction: float = Field(
        1.0, gt=0, le=1, description="of crop and stretch: part of the scaled height and width that is kept, the middle"
    )
    max_pixels: int = Field(
        MAX_PIXELS,
        gt=0,
        le=2 * MAX_PIXELS,
        description="most pixels of a file, height times width; others are bad records, found before they are decoded",
    )
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: list[float] = Field([0.5], min_length=1, description="subtracted; of all channels, or one of each")
    std: list[float] = Field([0.5], min_length=1, description="divides; of all channels, or one of each")
    augment: Augmentation = Field(default_factory=Augmentation, description="random changes in training")

    def size(self, grid: GridFacts | None) -> tuple[int, int]:
        """Height and width of the tensors, in pixels."""
        if self.image_size is not None:
            return pair(self.image_size)
        if grid is None:
            return 224, 224
        return grid.height * grid.patch_size[0], grid.width * grid.patch_size[1]

    def whole(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that pictures are scaled to, or to cover, before their middle of ``size`` is cut out."""
        return round(size[0] / self.crop_fraction), round(size[1] / self.crop_fraction)

    def channel_count(self, grid: GridFacts | None) -> int:
        """Channels of the tensors."""
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
                yield Problem("image_size", f"the model's pictures are of {size} pixels; leave it out, or set that")
            if self.channel_count(grid) not in (1, 3):
                yield Problem("", f"makes 1 or 3 channels, and the model's patches have {grid.channels}")
            elif self.channel_count(grid) != grid.channels:
                yield Problem("channels", f"the model's patches have {grid.channels}; leave it out, or set that")
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
                    message = f"is {own}, and the tokenizer of model.target.{name} expects {[*expected]}"
                    yield Problem(option, f"{message}; both must see the same pixels")

    def to_huggingface(self, data: DataContext) -> Preprocessing:
        from tp_vision.processors.huggingface import written

        return written(self, data)

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
        from tp_vision.processors.huggingface import read

        return read(self, content, data)


def _pictures_of(predicted: TokenFacts | None) -> PictureFacts | None:
    """The facts that the visual tokenizer of a target gives of its pictures."""
    if predicted is None or in_use():
        return None  # a trained model is used without what made its labels
    try:
        pictures: PictureFacts | None = predicted.tokenizer.config.pictures()
        return pictures
    except TPError:
        return None  # the target says what is wrong


def _of_each(values: Sequence[float], channels: int) -> list[float]:
    return [*values] * (channels if len(values) == 1 else 1)
