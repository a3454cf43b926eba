"""Options of the processor of pictures and texts as one sequence of tokens. Torch-free."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_text.processors.text_options import TextProcessorConfig
from tp_vision.embeddings.options import GridOptions, Size, pair
from tp_vision.facts import GridFacts, PictureFacts
from tp_vision.processors.options import MAX_PIXELS, PictureProcessorConfig
from tp_vision.visual_tokenizers.options import VisualTokenizerConfig

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import TokenizerFacts


#: Options that a trained image tokenizer also defines.
_TRAINED = ("image_size", "patch_size", "channels", "mean", "std")


#: Their defaults if neither the options nor the tokenizer define them.
_USUAL = {"image_size": None, "patch_size": None, "channels": 3, "mean": [0.5], "std": [0.5]}


class ImageTextLmConfig(TextProcessorConfig):
    """A picture's tokens and its text as one sequence, in either order (DALL-E, ERNIE-ViLG, Talk2Face)."""

    terms: ClassVar[Mapping[str, str]] = {
        "interpolation": "resample train_interpolation",
        "mean": "image_mean",
        "std": "image_std",
        "prefix_loss": "prefix_lm_loss train_on_prompt",
        "num_image_tokens": "image_vocab_size",
        "image_tokenizer": "vqgan_model_path vqgan_config_path",
        "image_size": "image_height image_width img_size resolution",
    }

    implementation: ClassVar[str] = "tp_crossmodal.processors.image_text_lm:ImageTextLmProcessor"
    makes_ids: ClassVar[frozenset[str]] = frozenset({"image_tokenizer"})
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset({"pad", "direction", "prefix_loss", "pad_text"})
    media_fields: ClassVar[frozenset[str]] = frozenset({"image"})
    optional_fields: ClassVar[frozenset[str]] = frozenset({"text", "image"})

    max_length: int = Field(
        64,
        gt=3,
        description="maximum length of a text, including special tokens; default: what the picture leaves of the "
        "model's limit",
    )
    image_tokenizer: Chosen[VisualTokenizerConfig] | None = Field(
        None, description="turns pictures into tokens, such as vq; required for training and for using a model"
    )
    num_image_tokens: int | None = Field(None, gt=1, description="number of different tokens; default: the tokenizer's")
    image_size: Size | None = Field(
        None, description="height and width in pixels, or [height, width]; default: the tokenizer's"
    )
    patch_size: Size | None = Field(
        None, description="height and width of the patch of one token, in pixels, or both; default: the tokenizer's"
    )
    channels: Literal[1, 3] | None = Field(None, description="3 for RGB, 1 for greyscale; default: the tokenizer's")
    mean: list[float] | None = Field(
        None,
        min_length=1,
        description="subtracted from pixels; one number for all channels, or one per channel; default: the tokenizer's",
    )
    std: list[float] | None = Field(
        None,
        min_length=1,
        description="divides pixels; one number for all channels, or one per channel; default: the tokenizer's",
    )
    resize: Literal["crop", "stretch", "none"] = Field(
        "crop",
        description="crop: scale until the picture covers image_size, then crop the centre; stretch: scale to "
        "image_size without keeping proportions; none: pictures of another size are bad records",
    )
    max_pixels: int = Field(
        MAX_PIXELS,
        gt=0,
        le=2 * MAX_PIXELS,
        description="maximum of height times width; larger pictures are bad records and are not decoded",
    )
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    direction: Literal["both", "text_to_image", "image_to_text"] = Field(
        "both",
        description="text_to_image: pictures are generated from texts; image_to_text: texts are generated from "
        "pictures; both: one of the two, drawn for each sample",
    )
    prefix_loss: bool = Field(False, description="also predict the first part; its attention is then causal (DALL-E)")
    pad_text: bool = Field(
        True, description="pad a text before its picture to max_length, so that a patch always has the same position"
    )

    # -- pictures ----------------------------------------------------------------------------------------------

    @cached_property
    def trained_on(self) -> PictureFacts | None:
        """Facts about the pictures of the tokenizer's training; None if there are none."""
        try:
            return None if self.image_tokenizer is None else self.image_tokenizer.config.pictures()
        except TPError:  # check() reports it
            return None

    @cached_property
    def settled(self) -> dict[str, Any]:
        """Options that a trained tokenizer also defines: the value set here, else the tokenizer's, else a default."""
        own = {name: value for name in _TRAINED if (value := getattr(self, name)) is not None}
        return _USUAL | (_options_of(self.trained_on) if self.trained_on else {}) | own

    @property
    def grid(self) -> GridFacts | None:
        """The grid of patches that become tokens, row by row; None if options and tokenizer do not define it."""
        size, patch, channels = (self.settled[name] for name in ("image_size", "patch_size", "channels"))
        if size is None or patch is None:
            return None
        (height, width), (rows, columns) = pair(size), pair(patch)
        return GridFacts(height // rows, width // columns, (rows, columns), channels)

    def inner_context(self, option: str, context: BuildContext) -> BuildContext:
        return context if self.grid is None else context.with_facts(self.grid)

    def pictures(self) -> PictureProcessorConfig:
        """Options for reading pictures."""
        known = {name: value for name, value in self.settled.items() if name != "patch_size"}
        known |= {"resize": self.resize, "interpolation": self.interpolation, "max_pixels": self.max_pixels}
        return PictureProcessorConfig(**known)

    # -- sizes -------------------------------------------------------------------------------------------------

    def extra_ids(self) -> int:
        try:
            return self.num_image_tokens or (self.image_tokenizer.config.token_count() if self.image_tokenizer else 0)
        except TPError:  # check() reports it
            return 0

    def limits_of_model(self, data: DataContext) -> dict[str, int]:
        if data.length_limit is None or self.grid is None:
            return {}
        return {"max_length": max(4, data.length_limit - self._of_picture(self.grid))}

    def sequence_length(self) -> int | None:
        return None if self.grid is None else self.max_length + self._of_picture(self.grid)

    def _of_picture(self, grid: GridFacts) -> int:
        """Positions of a picture. A text after a picture has an end token as well; a picture needs none."""
        return grid.patches + (self.direction != "text_to_image")

    def segments(self, tokenizer: "TokenizerFacts") -> int:
        return 2

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        prefix = {} if self.prefix_loss else {Port.input("prefix_lengths"): FieldSpec(("batch",))}
        return super().provides(context) | prefix | {Port.labels("lm"): FieldSpec()}

    # -- checks ------------------------------------------------------------------------------------------------

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        tokenizer = self.image_tokenizer.config if self.image_tokenizer else None
        if tokenizer is not None and any(not Path(file).exists() for file in tokenizer.files().values()):
            return  # the check of files reports it
        try:
            yield from self._check_tokenizer(tokenizer)
        except TPError as error:
            if tokenizer is None or not any(tokenizer.check(self.inner_context("image_tokenizer", context))):
                yield Problem("image_tokenizer", str(error))
            return
        unknown = [name for name in ("image_size", "patch_size") if self.settled[name] is None]
        for name in unknown:
            yield Problem(name, "is required, because no image_tokenizer defines it")
        if unknown:
            return
        if self.settled["channels"] not in (1, 3):
            yield Problem("image_tokenizer", f"reads {self.settled['channels']} channels; pictures have 1 or 3")
            return
        sizes = {name: self.settled[name] for name in ("image_size", "patch_size", "channels")}
        yield from GridOptions(**sizes).check_grid()
        yield from self.pictures().check(context._replace(facts={}))

    def _check_tokenizer(self, tokenizer: VisualTokenizerConfig | None) -> Iterator[Problem]:
        """Yield a problem for each option that contradicts the image tokenizer.

        Raises:
            TPError: the tokenizer's files cannot be read.
        """
        if tokenizer is None:
            if self.num_image_tokens is None:
                yield Problem("num_image_tokens", "is required, because no image_tokenizer defines it")
            return
        count, facts = tokenizer.token_count(), tokenizer.pictures()
        if self.num_image_tokens not in (None, count):
            yield Problem("num_image_tokens", f"is {self.num_image_tokens}; the tokenizer has {count} tokens")
        known = {} if facts is None else _options_of(facts)
        for name in _TRAINED if known else ():
            own, theirs = getattr(self, name), known[name]
            if own is not None and _spread(name, own, known) != _spread(name, theirs, known):
                yield Problem(name, f"is {own}; the tokenizer was trained with {theirs}: leave it out")

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        yield from super().check_tokenizer(tokenizer)
        if not {"eos", "sep"} & set(tokenizer.special):
            yield Problem("", "the vocabulary has no token for the end of a text: expected eos or sep")

    def check_data(self) -> Iterator[Problem]:
        if self.image_tokenizer is None:
            message = "is required to turn pictures into tokens, such as {vq: {model: runs/my_vqvae}}"
            yield Problem("image_tokenizer", message)


def _options_of(facts: PictureFacts) -> dict[str, Any]:
    """Convert facts about a tokenizer's pictures to options."""
    grid = facts.grid
    sizes = [grid.height * grid.patch_size[0], grid.width * grid.patch_size[1]]
    own = {"image_size": sizes, "patch_size": list(grid.patch_size), "channels": grid.channels}
    return own | {"mean": list(facts.mean), "std": list(facts.std)}


def _spread(name: str, value: Any, known: dict[str, Any]) -> Any:
    """Normalise the value of an option: one number that stands for several is repeated."""
    if name in ("image_size", "patch_size"):
        return tuple(pair(value))
    if name in ("mean", "std") and len(value) == 1:
        return list(value) * int(known["channels"])
    return value
