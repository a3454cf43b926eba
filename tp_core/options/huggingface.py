"""Mixins for options that have a separate file in a Hugging Face model folder. Torch-free."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tp_core.options.base import Preprocessing
from tp_core.options.context import DataContext


class PreprocessorFile(ABC):
    """Options of an image or audio processor that correspond to preprocessor_config.json."""

    #: Keys of the file with a fixed set of allowed values; the first value is transformers' default.
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    #: Keys of the file that never change the result. A key that is neither listed here nor read is refused.
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def to_huggingface(self, data: DataContext) -> Preprocessing:
        """The file with which transformers computes the same tensors as :meth:`tp_core.Processor.encode`.

        Args:
            data: data context of the processor's spec.

        Returns:
            The file's content, with ``image_processor_type`` or ``feature_extractor_type``. It is None if no class of
            transformers computes the same tensors; a note then gives the reason.
        """

    @abstractmethod
    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing:
        """The options that correspond to a file.

        Args:
            content: content of the file. Missing keys have the defaults of the class that the file names. It records
                which keys are read (:class:`tp_core.interop.keys.Keys`).
            data: data context of the converted model.

        Returns:
            The options to use in this config, and notes on settings that they cannot express.

        Raises:
            TPError: transformers does not know a value; the file is then ignored.
        """


class TokenizerFiles(ABC):
    """Options of a tokenizer that reads transformers' files."""

    @classmethod
    @abstractmethod
    def from_huggingface(cls, source: Path, folder: Path) -> Preprocessing | None:
        """Copy the tokenizer from a Hugging Face model folder into one of our model folders.

        Args:
            source: the Hugging Face model folder.
            folder: destination of the files; created if there is a tokenizer.

        Returns:
            The options that load the tokenizer, with paths relative to the parent of ``folder``, and notes for the
            user. None if the source has no tokenizer.

        Raises:
            TPError: the tokenizer cannot be read.
        """
