"""Options of Hugging Face tokenizers. Torch-free."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Preprocessing
from tp_core.options.huggingface import TokenizerFiles
from tp_core.options.marks import PathStr
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.options import SPECIAL_IN_TEXT

#: File extensions of model weights.
_WEIGHTS = frozenset((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".ot"))


class HuggingFaceConfig(TokenizerFiles, TokenizerConfig):
    """Any Hugging Face tokenizer: a ``tokenizer.json``, or a folder with one.

    A folder that only has the files of a slow tokenizer is read with transformers, which must be installed.
    """

    implementation: ClassVar[str] = "tp_text.tokenizers.huggingface:read_tokenizer"

    unread: ClassVar[frozenset[str]] = _WEIGHTS | {".md"}

    path: PathStr = Field(description="tokenizer.json, or the folder of a tokenizer")
    special_in_text: bool = Field(True, description=SPECIAL_IN_TEXT)

    def contents(self) -> list[str]:
        if os.path.isdir(self.path):
            return [self.path]
        from tp_text.tokenizers.huggingface_files import files_read

        return [*files_read(Path(self.path))]

    def libraries(self) -> Collection[str]:
        path = Path(self.path)
        slow = path.is_dir() and not (path / "tokenizer.json").is_file()
        return ("tokenizers", "transformers", "sentencepiece") if slow else ("tokenizers",)

    @classmethod
    def from_huggingface(cls, source: Path, folder: Path) -> Preprocessing | None:
        from tp_core.interop.tokenizer_files import has_tokenizer

        if not has_tokenizer(source):
            return None
        from tp_text.tokenizers.huggingface_files import own_config
        from tp_text.tokenizers.huggingface_import import import_tokenizer

        notes = tuple(import_tokenizer(source, folder))
        plain = {"special_in_text": False} if own_config(source).get("split_special_tokens") else {}
        return Preprocessing({"path": folder.name, **plain}, notes)
