"""Conversion between Hugging Face's preprocessor_config.json and the spec's processor of images or audio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interop.accounting import account, preprocessor_rules, violations
from tp_core.interop.ignored_keys import IgnoredKeys
from tp_core.interop.keys import Keys, Memory
from tp_core.interop.known_keys import PARTS
from tp_core.options.huggingface import PreprocessorFile
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec

PREPROCESSOR = "preprocessor_config.json"

#: The file that transformers 5 saves instead for models that also have a tokenizer, and its relevant keys.
_WHOLE, _PARTS = "processor_config.json", PARTS


class PreprocessingFiles:
    """The files of a Hugging Face folder that define how images or audio are converted to tensors.

    Args:
        folder: the folder of the model.
        ignored: keys that the user ignores.

    Attributes:
        name: name of the file; None if there is none.
        known: names of files that were read, or for which a note explains why they were not read.
    """

    def __init__(self, folder: Path, ignored: IgnoredKeys) -> None:
        self.folder, self.ignored = folder, ignored
        self.name = next((name for name in (_WHOLE, PREPROCESSOR) if (folder / name).is_file()), None)
        self.known: set[str] = set()

    def not_read(self, reason: str) -> list[str]:
        """A note with the reason why the file is not read; no note if there is no file."""
        self.known.update(() if self.name is None else (self.name,))
        return [] if self.name is None else [f"{self.name} is not read: {reason}"]

    def read(self) -> tuple[Keys, Keys] | None:
        """The content of the file, and the part of it that defines the preprocessing; None if there is no file.

        Raises:
            TPError: the file is not a JSON object.
        """
        for name in (_WHOLE, PREPROCESSOR):
            file = self.folder / name
            if not file.is_file():
                continue
            self.known.add(name)
            try:
                content = read_json(file)
            except (OSError, ValueError) as error:
                raise TPError(f"{name} is not read: this is no JSON: {error}") from None
            if not isinstance(content, dict):
                raise TPError(f"{name} is not read: expected a JSON object")
            if name == _WHOLE and not any(part in content for part in _PARTS):
                continue
            content = self.ignored.without(content, name)
            whole = Keys(content, Memory(name, content))
            if name != _WHOLE:
                return whole, whole
            self.known.add(PREPROCESSOR)  # transformers also prefers processor_config.json
            part = next((whole[part] for part in _PARTS if part in content), None)
            if not isinstance(part, Keys):
                raise TPError(f"{name} is not read: expected a JSON object in it")
            return whole, part
        return None

    def options(self, spec: Spec) -> tuple[dict[str, Any], list[str]]:
        """The options of the spec's processor that the file defines, and notes for the user.

        If the file cannot be used, the model is converted without it, and a note says so.

        Raises:
            RefusedKeysError: the file has keys that change the tensors and that the processor does not support.
        """
        chosen, data = spec.data.processor, data_context(spec)
        if chosen is None or not isinstance(chosen.config, PreprocessorFile):
            return {}, []
        try:
            file = self.read()
        except TPError as error:
            return {}, [str(error)]
        if file is None:
            return {}, [f"there is no {PREPROCESSOR}; {_usual(chosen.name)}"]
        whole, part = file
        try:
            found = chosen.config.from_huggingface(part, data)
        except TPError as error:
            violations(whole, preprocessor_rules(chosen.config)).check()
            return {}, [f"{whole.memory.file} is not read: {error}; {_usual(chosen.name)}"]
        said = account(whole, preprocessor_rules(chosen.config))
        said.check()
        return dict(found.content or {}), [*(f"{whole.memory.file}: {note}" for note in found.notes), *said.notes]


def _usual(processor: str) -> str:
    return f"data.processor.{processor} has tp's default options, which may differ from those of the training"


def written(spec: Spec) -> tuple[Mapping[str, Any] | None, list[str]]:
    """The content of preprocessor_config.json for the spec's processor, or None; and notes for the user."""
    chosen = spec.data.processor
    if chosen is None or not isinstance(chosen.config, PreprocessorFile):
        return None, []
    found = chosen.config.to_huggingface(data_context(spec))
    if found.content is None:
        return None, [f"{PREPROCESSOR} is not written: {'; '.join(found.notes)}"]
    return found.content, [f"{PREPROCESSOR}: {note}" for note in found.notes]
