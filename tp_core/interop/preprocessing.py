"""How pictures and recordings become tensors: Hugging Face's preprocessor_config.json and the spec's processor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_core.config import Preprocessing
from tp_core.errors import TPError
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec

PREPROCESSOR = "preprocessor_config.json"

#: What transformers 5 saves in its place for models with a tokenizer besides, and where in it.
_WHOLE, _PARTS = "processor_config.json", ("image_processor", "feature_extractor")


def preprocessing_file(folder: Path) -> str | None:
    """The name of the file that says how inputs are made, if there is one."""
    return next((name for name in (_WHOLE, PREPROCESSOR) if (folder / name).is_file()), None)


def read_preprocessing(folder: Path) -> tuple[str, dict[str, Any]] | None:
    """The name of the file that says how inputs are made, and what it says of them; None if there is none.

    Raises:
        TPError: the file is no JSON object.
    """
    for name in (_WHOLE, PREPROCESSOR):
        file = folder / name
        if not file.is_file():
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TPError(f"{name} is not read: this is no JSON: {error}") from None
        if name == _WHOLE:
            content = next((content[part] for part in _PARTS if isinstance(content, dict) and part in content), None)
            if content is None:
                continue
        if not isinstance(content, dict):
            raise TPError(f"{name} is not read: expected a JSON object")
        return name, content
    return None


def read_options(spec: Spec, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The options of the spec's processor that a Hugging Face folder says, and notes for the user.

    A file that cannot be used is no reason not to convert the model: a note says so.
    """
    chosen, data = spec.data.processor, data_context(spec)
    if chosen is None or chosen.config.from_huggingface({}, data) is None:
        return {}, []
    try:
        file = read_preprocessing(folder)
    except TPError as error:
        return {}, [str(error)]
    if file is None:
        return {}, [f"there is no {PREPROCESSOR}; {_usual(chosen.name)}"]
    name, content = file
    try:
        found: Preprocessing | None = chosen.config.from_huggingface(content, data)
    except TPError as error:
        return {}, [f"{name} is not read: {error}; {_usual(chosen.name)}"]
    if found is None:
        return {}, []
    return dict(found.content or {}), [f"{name}: {note}" for note in found.notes]


def _usual(processor: str) -> str:
    return f"data.processor.{processor} has tp's usual options, which may not be those of the training"


def written(spec: Spec) -> tuple[Mapping[str, Any] | None, list[str]]:
    """The preprocessor_config.json of the spec's processor, or None, and notes for the user."""
    chosen = spec.data.processor
    found = None if chosen is None else chosen.config.to_huggingface(data_context(spec))
    if found is None:
        return None, []
    if found.content is None:
        return None, [f"{PREPROCESSOR} is not written: {'; '.join(found.notes)}"]
    return found.content, [f"{PREPROCESSOR}: {note}" for note in found.notes]
