"""The files of a model's folder beside its weights: the spec and the tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tp_core.errors import TPError
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec, spec_dumper

SPEC = "spec.yaml"
TOKENIZER = "tokenizer"

#: Files of which one is enough to make a tokenizer.
_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", "chat_template.jinja")


def copy_tokenizer(source: Path, folder: Path) -> bool:
    """Copy the files of a Hugging Face tokenizer; whether there is one."""
    if not any((source / name).is_file() for name in _VOCABULARIES):
        return False
    folder.mkdir(exist_ok=True)
    for name in (*_VOCABULARIES, *_BESIDE):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    return True


def spec_of(tree: Mapping[str, Any]) -> Spec:
    """The spec that a plain tree stands for.

    Raises:
        SpecError: the tree is no spec that can be built.
    """
    with TemporaryDirectory() as folder:
        return load_spec(_written(tree, Path(folder)))


def write_spec(folder: Path, name: str, model: Mapping[str, Any], processor: Mapping[str, Any] | None) -> Spec:
    """Write the resolved spec of a converted model, with the tokenizer that lies in the folder.

    Args:
        processor: the processor to have, if it fits the tokenizer.

    Raises:
        TPError: the model cannot be built, or the tokenizer is not one for it.
    """
    data = {"tokenizer": {"huggingface": {"path": TOKENIZER}}} if (folder / TOKENIZER).is_dir() else None
    try:
        spec = _attempt(folder, name, model, data, processor)
    except TPError:
        if processor is None or data is None:
            raise
        spec = _attempt(folder, name, model, data, None)
    tree = spec.dump()
    if data is not None:
        tree["data"]["tokenizer"]["huggingface"]["path"] = TOKENIZER  # absolute in the loaded spec
    _written(tree, folder)
    return spec


def _attempt(
    folder: Path,
    name: str,
    model: Mapping[str, Any],
    data: Mapping[str, Any] | None,
    processor: Mapping[str, Any] | None,
) -> Spec:
    tree: dict[str, Any] = {"tp": 1, "name": name, "model": dict(model)}
    if data is not None:
        tree["data"] = {**data, **({"processor": dict(processor)} if processor else {})}
    return load_spec(_written(tree, folder))


def _written(tree: Mapping[str, Any], folder: Path) -> Path:
    file = folder / SPEC
    text = yaml.dump(dict(tree), Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)
    file.write_text(text, encoding="utf-8")
    return file


def reason(error: TPError) -> str:
    """A spec's problems in one line, without the places in a file that nobody wrote."""
    problems = getattr(error, "problems", None)
    return "; ".join(f"{each.path}: {each.message}" for each in problems) if problems else str(error)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tokenizer_folders(spec: Spec) -> Iterator[Path]:
    """The folder with the Hugging Face files of the spec's tokenizer, if it has such."""
    chosen = spec.data.tokenizer
    if chosen is not None and chosen.name == "huggingface":
        path = Path(chosen.config.files()["path"])
        yield path if path.is_dir() else path.parent
