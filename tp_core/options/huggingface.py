"""Mixins for options that have a file of their own in a model's folder of Hugging Face. Torch-free."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tp_core.options.base import Preprocessing
from tp_core.options.context import DataContext


class PreprocessorFile(ABC):
    """Options of a processor of pictures or recordings that preprocessor_config.json says, too."""

    #: Keys of the file that may have these values only, the first being transformers' default.
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    #: Keys of it that never change what is made. One that is neither here nor read is refused.
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def to_huggingface(self, data: DataContext) -> Preprocessing:
        """The file with which transformers makes the tensors of :meth:`tp_core.Processor.encode`.

        Args:
            data: of the spec that the processor belongs to.

        Returns:
            The file's content, with ``image_processor_type`` or ``feature_extractor_type``. Where no class of
            transformers makes the same tensors it is None, and a note says why.
        """

    @abstractmethod
    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
        """The options that a file stands for.

        Args:
            content: of the file; keys that it leaves out have the values of the class that it names. It notes which
                keys are read (:class:`tp_core.interop.keys.Keys`).
            data: of the converted model.

        Returns:
            Options to put in the place of this config's, and notes on what they cannot say.

        Raises:
            TPError: a value is none that transformers knows; the file is then left unread.
        """


class TokenizerFiles(ABC):
    """Options of a tokenizer that reads the files of transformers."""

    @classmethod
    @abstractmethod
    def from_huggingface(cls, source: Path, folder: Path) -> Preprocessing | None:
        """Bring the tokenizer of a Hugging Face model's folder into a model's folder of ours.

        Args:
            source: the folder of the model.
            folder: where to put the files; it is made where there is a tokenizer.

        Returns:
            The options that load it, with paths relative to the folder above ``folder``, and notes for the user; None:
            the source has no tokenizer.

        Raises:
            TPError: there is one, and it cannot be read.
        """
