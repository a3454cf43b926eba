"""Base of options of visual tokenizers. Torch-free."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.options.base import ModuleConfig, copied_files
from tp_core.options.context import BuildContext
from tp_core.options.facts import PictureFacts

if TYPE_CHECKING:
    from tp_core.interfaces import VisualTokenizer


class VisualTokenizerConfig(ModuleConfig):
    """Base of configs of visual tokenizers, which others choose by an option marked with ``ModuleMark``."""

    kind: ClassVar[str] = "visual_tokenizer"

    def token_count(self) -> int:
        """How many different tokens there are.

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

    def contents(self) -> list[str]:
        """The files that decide which tokens a picture gets."""
        models = self.models()
        return [path for option, path in {**self.files(), **self.training_files()}.items() if option not in models]

    def save(self, folder: Path, inside: str) -> dict[str, Any]:
        """Copy the files that the tokenizer needs into an exported model; gives back all options."""
        return self.model_dump(mode="json") | copied_files({**self.files(), **self.training_files()}, folder, inside)

    def build(self, context: BuildContext) -> "VisualTokenizer":
        """The tokenizer with its values, on the CPU. It is built when the first tokens are made."""
        made: VisualTokenizer = self.implemented()(self, context)
        return made
