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
        """Facts about the vocabulary that are needed to check a spec, read as cheaply as the format allows.

        Raises:
            TPError: the same errors as :meth:`build`.
        """
        from tp_core.interfaces.tokenizer import Tokenizer
        from tp_core.packages.plugin_errors import built_by

        return built_by(self, Tokenizer, data).facts()  # type: ignore[type-abstract]

    def build(self, data: DataContext) -> "Tokenizer":
        """The tokenizer: its implementation with these options."""
        made: Tokenizer = self.implemented()(self, data)
        return made
