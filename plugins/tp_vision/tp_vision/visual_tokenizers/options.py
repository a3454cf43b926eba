"""Base of options of visual tokenizers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext
from tp_vision.facts import PictureFacts

if TYPE_CHECKING:
    from tp_vision.visual_tokenizers.base import VisualTokenizer


class VisualTokenizerConfig(ModuleConfig):
    """Base of configs of visual tokenizers, which options of others choose: ``Chosen[VisualTokenizerConfig]``."""

    kind: ClassVar[str] = "visual_tokenizer"

    def token_count(self) -> int:
        """Number of different tokens.

        Raises:
            TPError: what says so cannot be read.
        """
        raise TypeError(f"{type(self).__name__} does not implement token_count()")

    def pictures(self) -> PictureFacts | None:
        """The pictures that it was trained with; None for one that takes any.

        Raises:
            TPError: what says so cannot be read.
        """
        return None

    def build(self, context: BuildContext) -> "VisualTokenizer":
        """The tokenizer with its values, on the CPU. It is built when the first tokens are made."""
        made: VisualTokenizer = self.implemented()(self, context)
        return made
