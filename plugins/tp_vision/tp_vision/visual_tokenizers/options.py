"""Base class of the options of visual tokenizers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext
from tp_vision.facts import PictureFacts

if TYPE_CHECKING:
    from tp_vision.visual_tokenizers.base import VisualTokenizer


class VisualTokenizerConfig(ModuleConfig):
    """Base of configs of visual tokenizers. Other configs select one by an option ``Chosen[VisualTokenizerConfig]``."""

    kind: ClassVar[str] = "visual_tokenizer"

    def token_count(self) -> int:
        """Number of different tokens.

        Raises:
            TPError: the tokenizer's files cannot be read.
        """
        raise TypeError(f"{type(self).__name__} does not implement token_count()")

    def pictures(self) -> PictureFacts | None:
        """Facts about the pictures that it was trained with; None if it accepts any pictures.

        Raises:
            TPError: the tokenizer's files cannot be read.
        """
        return None

    def build(self, context: BuildContext) -> "VisualTokenizer":
        """Build the tokenizer with its weights, on the CPU. It is called when the first tokens are needed."""
        made: VisualTokenizer = self.implemented()(self, context)
        return made
