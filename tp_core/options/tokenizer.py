"""Base of options of tokenizers. Torch-free."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tp_core.options.base import ModuleConfig, Preprocessing
from tp_core.options.context import DataContext

if TYPE_CHECKING:
    from tp_core.tokenizer import Tokenizer, TokenizerFacts


class TokenizerConfig(ModuleConfig):
    """Base of tokenizer configs."""

    kind: ClassVar[str] = "tokenizer"

    @classmethod
    def from_huggingface(cls, source: Path, folder: Path) -> Preprocessing | None:
        """Bring the tokenizer of a Hugging Face model's folder into a model's folder of ours.

        Args:
            source: the folder of the model.
            folder: where to put the files; it is made where there is a tokenizer.

        Returns:
            The options that load it, with paths relative to the folder above ``folder``, and notes for the user; None:
            the source has no tokenizer that this class reads.

        Raises:
            TPError: there is one, and it cannot be read.
        """
        return None

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
