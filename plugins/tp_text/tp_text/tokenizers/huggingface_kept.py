"""Hugging Face tokenizers whose files are kept unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tp_core.interfaces.tokenizer import Tokenizer, TransformersUse
from tp_core.interop.tokenizer_files import BESIDE, copy_files
from tp_text.tokenizers.huggingface_files import (
    Pipeline,
    copy_own,
    model_type_of,
    own_config,
    write_facts,
    write_pipeline,
)
from tp_text.tokenizers.rust import use_keys, write_config

#: Classes of transformers that do not belong to a certain model.
_GENERAL = ("PreTrainedTokenizer", "TokenizersBackend")


class KeptFiles(Tokenizer):
    """Tokenizer that is saved and exported as copies of its original files."""

    _path = Path()
    _options: dict[str, Any]
    _made: Pipeline | None = None

    def keep(self, path: Path, options: dict[str, Any], made: Pipeline | None) -> None:
        """Remember the original files.

        Args:
            path: a tokenizer.json, or a folder.
            options: options of the config.
            made: pipeline built by transformers, if no file holds it. It is saved, so that a saved tokenizer does not
                need transformers.
        """
        self._path, self._options, self._made = path, options, made

    @property
    def _folder(self) -> Path:
        return self._path if self._path.is_dir() else self._path.parent

    def save(self, folder: Path) -> dict[str, Any]:
        self._copy(folder)
        kind = model_type_of(self._folder)
        if self._made is not None:
            write_pipeline(folder, self._made._replace(model_type=kind))
        elif not copy_own(self._folder, folder) and kind:
            write_facts(folder, kind, complete=False)
        return {**self._options, "path": "."}

    def _copy(self, folder: Path) -> None:
        if self._path.is_dir():
            copy_files(self._path, folder)
            return
        shutil.copyfile(self._path, folder / "tokenizer.json")
        for name in BESIDE:
            if (beside := self._folder / name).is_file():
                shutil.copyfile(beside, folder / name)

    def to_huggingface(self, folder: Path, use: TransformersUse) -> bool:
        """Copy the original files if transformers reads them in the same way for this type of model."""
        own = own_config(self._folder)
        name = str(own.get("tokenizer_class") or "").removesuffix("Fast")
        if not name and use.model_type != model_type_of(self._folder):
            return super().to_huggingface(folder, use)
        self._copy(folder)
        if name in _GENERAL:  # these classes have no default for the model's inputs
            write_config(folder, {**use_keys(use), **own})
        return True
