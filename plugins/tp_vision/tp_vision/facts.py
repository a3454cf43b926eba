"""Facts about pictures that modules publish to others. Torch-free."""

from typing import Any, NamedTuple

from tp_core.options.choice import Chosen


class GridFacts(NamedTuple):
    """The grid of patches into which an embedding divides pictures of its configured size.

    Attributes:
        height: rows of patches.
        width: columns of patches.
        patch_size: height and width of a patch, in pixels.
        channels: numbers per pixel: 3 for RGB, 1 for greyscale.
        leading: number of tokens before the patches that have a position: class token and distillation token.
        registers: number of tokens between the leading tokens and the patches; they have no position.
    """

    height: int
    width: int
    patch_size: tuple[int, int]
    channels: int
    leading: int = 0
    registers: int = 0

    @property
    def patches(self) -> int:
        """Number of patches in a picture."""
        return self.height * self.width

    @property
    def before(self) -> int:
        """Number of tokens before the first patch."""
        return self.leading + self.registers


class PictureFacts(NamedTuple):
    """The pictures that a visual tokenizer was trained with.

    Attributes:
        grid: the grid of patches; each patch becomes one token.
        mean: subtracted from pixels in [0, 1]; one number for all channels, or one per channel.
        std: divides the pixels after ``mean`` is subtracted.
    """

    grid: GridFacts
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class TokenFacts(NamedTuple):
    """The visual tokens that a target predicts.

    Attributes:
        tokenizer: the visual tokenizer that turns pictures into tokens.
    """

    tokenizer: Chosen[Any]
