"""The files of a model's folder beside its weights: the spec with its processor, and the tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tp_core.config import ProcessorConfig
from tp_core.errors import TPError
from tp_core.interop.preprocessing import preprocessing_file, read_options
from tp_core.spec.choose import config_class
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


def write_spec(
    folder: Path, name: str, model: Mapping[str, Any], processor: Mapping[str, Any] | None, source: Path
) -> tuple[Spec, list[str]]:
    """Write the resolved spec of a converted model, with the tokenizer that lies in the folder.

    Args:
        processor: the processor to have, if the model and the tokenizer are such that it can be.
        source: the folder that is converted, which may say how pictures or recordings become tensors.

    Returns:
        The spec, and notes for the user.

    Raises:
        TPError: the model cannot be built, or the tokenizer is not one for it.
    """

    def attempt(processor: Mapping[str, Any] | None) -> Spec:
        parts = {"processor": dict(processor)} if processor else {}
        data = {**tokenizer, **parts}
        tree = {"tp": 1, "name": name, "model": dict(model), **({"data": data} if data else {})}
        return load_spec(_written(tree, folder))

    has_tokenizer = (folder / TOKENIZER).is_dir()
    tokenizer = {"tokenizer": {"huggingface": {"path": TOKENIZER}}} if has_tokenizer else {}
    try:
        if processor and not has_tokenizer and _needs_tokenizer(processor):
            raise TPError(f"data.processor.{next(iter(processor))} needs a tokenizer, and there is none")
        spec = attempt(processor)
        options, notes = read_options(spec, source)
    except TPError as error:
        if processor is None:
            raise
        spec, options = attempt(None), {}
        unread = preprocessing_file(source)
        notes = [f"{unread} is not read: {reason(error)}"] if unread else []
    if processor and options:
        ((chosen, own),) = processor.items()
        try:
            spec = attempt({chosen: {**own, **options}})
        except TPError as error:
            notes = [f"{preprocessing_file(source)} is not read: {reason(error)}"]
    tree = spec.dump()
    if has_tokenizer:
        tree["data"]["tokenizer"]["huggingface"]["path"] = TOKENIZER  # absolute in the loaded spec
    _written(tree, folder)
    return spec, notes


def _needs_tokenizer(processor: Mapping[str, Any]) -> bool:
    (name,) = processor
    cls, _ = config_class("processor", name, ".")
    assert issubclass(cls, ProcessorConfig)
    return cls.needs_tokenizer


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
