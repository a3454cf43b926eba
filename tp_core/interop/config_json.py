"""Hugging Face's config.json: read, completed with defaults, and checked for what specs cannot say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.config import ConverterConfig
from tp_core.errors import TPError
from tp_core.suggest import did_you_mean

CONFIG = "config.json"


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model's folder.

    Raises:
        TPError: there is none, or it is no JSON object.
    """
    file = folder / CONFIG
    if not folder.is_dir():
        raise TPError(f"{folder}: there is no such folder; a model of the hub must be downloaded first")
    if not file.is_file():
        raise TPError(f"{folder}: there is no {CONFIG}, so that this is no folder of a Hugging Face model")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TPError(f"{file}: this is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise TPError(f"{file}: expected a JSON object")
    return content


def converter_for(config: Mapping[str, Any], file: Path, model_type: str | None = None) -> tuple[str, ConverterConfig]:
    """The name and the converter of a config.json's ``model_type``, or of the one that is given in its place.

    Raises:
        TPError: no installed package has such a converter.
    """
    name = model_type or config.get("model_type")
    if not isinstance(name, str) or not name:
        known = ", ".join(discovery.index().names("converter")) or "none"
        raise TPError(f"{file}: there is no 'model_type'; give it with --model-type (known: {known})")
    try:
        return name, load_converter(name)
    except discovery.NotFound as error:
        known = ", ".join(discovery.index().names("converter")) or "none"
        raise TPError(f"{file}: no converter for the model_type '{name}'; {error.suggestion or known}") from None


def load_converter(name: str) -> ConverterConfig:
    """The converter of a name, ready to use.

    Raises:
        NotFound: no installed package offers it.
        TPError: what is offered is no converter.
    """
    from tp_core.spec.choose import config_class

    cls, _ = config_class("converter", name, ".")
    converter = cls()
    assert isinstance(converter, ConverterConfig)
    return converter


def completed(converter: ConverterConfig, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json with the usual spelling of its keys, and with the values that it leaves out.

    Raises:
        TPError: a value that specs cannot say, or quantised weights.
    """
    found = {converter.aliases.get(key, key): value for key, value in config.items()}
    found |= {key: value for key, value in config.items() if key not in converter.aliases}
    for key, values in converter.required.items():
        given = found.get(key, values[0])
        if given not in values:
            accepted = " or ".join(json.dumps(value) for value in values)
            raise TPError(f"config.json: '{key}' is {json.dumps(given)}; only {accepted} can be converted")
    if found.get("quantization_config"):
        raise TPError("config.json: the weights are quantised; convert the original model")
    return converter.complete({**converter.defaults, **found})


def architecture_for(converter: ConverterConfig, config: Mapping[str, Any], asked: str | None) -> str:
    """The class in transformers that a checkpoint is of.

    Raises:
        TPError: the converter does not know it, or config.json does not say.
    """
    known = list(converter.architectures)
    listed = config.get("architectures")
    name = asked or (listed[0] if isinstance(listed, list) and listed else None)
    if name is None:
        raise TPError(f"config.json names no architecture; give it with --architecture: {', '.join(known)}")
    if name not in converter.architectures:
        near = did_you_mean(str(name), known)
        bare = next((each for each, targets in converter.architectures.items() if not targets), None)
        hint = f"; --architecture {bare} takes the model without its head" if bare and not asked else ""
        known_ones = f"known: {', '.join(known)}"
        raise TPError(f"no conversion of the architecture '{name}'; {near or known_ones}{hint}")
    return str(name)
