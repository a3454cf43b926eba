"""The files of a model's folder other than its weights: the spec with its processor, and the tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.interop.accounting import RefusedKeysError
from tp_core.interop.preprocessing import PreprocessingFiles
from tp_core.interop.tokenizer_files import has_tokenizer
from tp_core.options.huggingface import TokenizerFiles
from tp_core.options.processor import ProcessorConfig
from tp_core.spec.choices.find import config_class
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec, spec_dumper

SPEC = "spec.yaml"
TOKENIZER = "tokenizer"


def import_tokenizer(source: Path, folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Convert the tokenizer of a Hugging Face folder and write it into a folder of tp.

    Returns:
        The tokenizer in the form of a spec, with paths relative to ``folder``, or None; and notes for the user.
    """
    if not has_tokenizer(source):
        return None, []
    try:
        name, cls = _reader()
        found = cls.from_huggingface(source, folder / TOKENIZER)
    except TPError as error:
        shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
        return None, [f"the tokenizer is not read: {error}"]
    if found is None or found.content is None:
        return None, []
    return {name: dict(found.content)}, list(found.notes)


def _reader() -> tuple[str, type[TokenizerFiles]]:
    """The tokenizer module that reads the files of transformers, by name.

    Raises:
        TPError: no installed package has one.
    """
    for name in discovery.index().names("tokenizer"):
        try:
            cls, _ = config_class("tokenizer", name, ".")
        except TPError:  # of a broken package
            continue
        if issubclass(cls, TokenizerFiles):
            return name, cls
    raise TPError("no installed package reads the tokenizers of transformers; tp-text does (pip install tp-text)")


def limited(processor: Mapping[str, Any] | None, length: int | None) -> dict[str, Any] | None:
    """A processor in the form of a spec, with a length that it gives lowered to a limit.

    Args:
        length: the limit; None for none.
    """
    if processor is None:
        return None
    ((name, options),) = processor.items()
    option = length_option(name)
    given = options.get(option)
    if given is None or length is None or given <= length:
        return {name: dict(options)}
    return {name: {**options, option: length}}


def length_option(name: str) -> str:
    """The option that bounds the sequences of the processor of this name; empty if it has none."""
    cls, _ = config_class("processor", name, ".")
    option: str = getattr(cls, "length_option", "")
    return option


def spec_of(tree: Mapping[str, Any]) -> Spec:
    """The spec for a tree of plain values.

    Raises:
        SpecError: the tree is not a valid spec.
    """
    with TemporaryDirectory() as folder:
        return load_spec(_written(tree, Path(folder)), trust_code=False)


def write_spec(
    folder: Path,
    name: str,
    model: Mapping[str, Any],
    tokenizer: Mapping[str, Any] | None,
    processor: Mapping[str, Any] | None,
    preprocessing: PreprocessingFiles | None = None,
    inference: Mapping[str, Any] | None = None,
    target_tokenizer: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> tuple[Spec, list[str]]:
    """Write the resolved spec of a converted model.

    Args:
        folder: the folder of the model.
        name: name of the model.
        model: the ``model:`` part of the spec.
        tokenizer: the tokenizer in the form of a spec, with its files in ``folder``; or None.
        processor: the processor in the form of a spec. It is left out if it does not fit the model or the tokenizer.
        preprocessing: the files that define how images or audio are converted to tensors, if there are any.
        inference: the ``inference:`` part of the spec.
        target_tokenizer: the tokenizer of the decoder's side, in the same form; or None.
        labels: ``data.labels``, the column of each target's labels, for a processor that feeds several.

    Returns:
        The spec, and notes for the user.

    Raises:
        TPError: the model cannot be built, or the tokenizer does not fit it.
    """

    def attempt(processor: Mapping[str, Any] | None) -> Spec:
        parts: dict[str, Any] = {"processor": dict(processor)} if processor else {}
        parts |= {"labels": dict(labels)} if processor and labels else {}
        data = {**own_tokenizer, **parts}
        tree = {"tp": 1, "name": name, "model": dict(model), **({"data": data} if data else {})}
        return load_spec(_written({**tree, "inference": dict(inference or {})}, folder), trust_code=False)

    given = {"tokenizer": tokenizer, "target_tokenizer": target_tokenizer}
    own_tokenizer = {key: dict(each) for key, each in given.items() if each}
    try:
        if processor and not tokenizer and _needs_tokenizer(processor):
            raise TPError(f"data.processor.{next(iter(processor))} needs a tokenizer, and there is none")
        spec = attempt(processor)
        options, notes = ({}, []) if preprocessing is None else preprocessing.options(spec)
    except RefusedKeysError:
        raise
    except TPError as error:
        if processor is None:
            raise
        spec, options = attempt(None), {}
        notes = [] if preprocessing is None else preprocessing.not_read(reason(error))
        # A body without a tokenizer only loses the processor's usual options, which needs no note.
        ((name, own),) = processor.items()
        lost = sorted(own.keys() - {length_option(name)})
        if (tokenizer or lost) and not notes:
            names = f", so that config.json's {', '.join(lost)} are not kept" if lost else ""
            notes = [f"the model has no processor{names}: {reason(error)}"]
    if processor and options:
        ((chosen, own),) = processor.items()
        try:
            spec = attempt({chosen: {**own, **options}})
        except TPError as error:
            assert preprocessing is not None
            notes = preprocessing.not_read(reason(error))
    tree = spec.dump()
    for key, each in own_tokenizer.items():
        for reader, options in each.items():
            tree["data"][key][reader] |= options  # its paths are absolute in the loaded spec
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
    """The problems of a spec in one line, without positions in the file, which the user did not write."""
    problems = getattr(error, "problems", None)
    return "; ".join(f"{each.path}: {each.message}" for each in problems) if problems else str(error)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
