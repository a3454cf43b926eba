"""Base of options of tokenizers. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig
from tp_core.options.context import DataContext

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import Tokenizer, TokenizerFacts


class TokenizerConfig(ModuleConfig):
    """Base of tokenizer configs."""

    kind: ClassVar[str] = "tokenizer"

    def facts(self, data: DataContext) -> "TokenizerFacts":
        """The facts of the vocabulary that checking a spec needs, read as cheaply as its format allows.

        Raises:
            TPError: what :meth:`build` would raise.
        """
        return self.build(data).facts()

    def build(self, data: DataContext) -> "Tokenizer":
        """The tokenizer: its implementation with these options."""
        made: Tokenizer = self.implemented()(self, data)
        return made
