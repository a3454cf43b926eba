"""Facts about pictures that modules publish to others. Torch-free."""

from typing import Any, NamedTuple

from tp_core.options.choice import Chosen


class GridFacts(NamedTuple):
    """The grid of patches into which an embedding divides pictures of its configured size.

    Attributes:
        height: rows of patches.
        width: columns of patches.
        patch_size: height and width of a patch, in pixels.
        channels: numbers of a pixel: 3 for RGB, 1 for greyscale.
        leading: tokens before the patches that have positions of their own: the class token, a distillation token.
        registers: tokens between those and the patches; they have no position.
    """

    height: int
    width: int
    patch_size: tuple[int, int]
    channels: int
    leading: int = 0
    registers: int = 0

    @property
    def patches(self) -> int:
        """Number of patches of a picture."""
        return self.height * self.width

    @property
    def before(self) -> int:
        """Number of places of the sequence before the first patch."""
        return self.leading + self.registers


class PictureFacts(NamedTuple):
    """The pictures that a trained visual tokenizer knows.

    Attributes:
        grid: how it divides them into patches, one token for each.
        mean: subtracted from their pixels, which are from 0 to 1; of all channels, or one of each.
        std: what divides them then.
    """

    grid: GridFacts
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class TokenFacts(NamedTuple):
    """The visual tokens that a target predicts.

    Attributes:
        tokenizer: what makes them of pictures.
    """

    tokenizer: Chosen[Any]
