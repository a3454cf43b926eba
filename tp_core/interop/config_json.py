"""The config.json of Hugging Face models: reading it, adding defaults, and finding its converter and architecture."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interop.config_values import misfits
from tp_core.interop.keys import MISFITS, Keys, Memory
from tp_core.local.trust import running_local_files
from tp_core.options.converter import ConverterConfig
from tp_core.suggest import did_you_mean, instead

CONFIG = "config.json"


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model's folder.

    Raises:
        TPError: the file is missing, or it is not a JSON object.
    """
    file = folder / CONFIG
    if not folder.is_dir():
        hint = instead(folder) or "; a model of the hub must be downloaded first"
        raise TPError(f"{folder}: there is no such folder{hint}")
    if not file.is_file():
        raise TPError(f"{folder}: there is no {CONFIG}, so this is not the folder of a Hugging Face model")
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        raise TPError(f"{file}: this is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise TPError(f"{file}: expected a JSON object")
    return content


def converter_for(config: Mapping[str, Any], file: Path, model_type: str | None = None) -> tuple[str, ConverterConfig]:
    """The name of a converter and the converter itself, for the ``model_type`` of a config.json.

    Args:
        config: the content of config.json.
        file: its path, for messages.
        model_type: overrides the ``model_type`` of config.json.

    Raises:
        TPError: no installed package has such a converter.
    """
    name = model_type or config.get("model_type")
    known = ", ".join(discovery.index().names("converter")) or "none"
    if not isinstance(name, str) or not name:
        raise TPError(f"{file}: there is no 'model_type'; give it with --model-type (known: {known})")
    if model_type is None and ":" in name:  # an untrusted file must not choose Python code to run
        raise TPError(f"{file}: no converter for the model_type '{name}'; {known}")
    try:
        return name, load_converter(name, given=model_type is not None)
    except discovery.UnknownModuleError as error:
        raise TPError(f"{file}: no converter for the model_type '{name}'; {error.suggestion or known}") from None


def load_converter(name: str, given: bool = False) -> ConverterConfig:
    """An instance of the converter with this name.

    Args:
        name: name of the converter.
        given: True if the user gave the name, which may then refer to a local Python file.

    Raises:
        UnknownModuleError: no installed package has a converter with this name.
        TPError: the object found is not a converter.
    """
    from tp_core.spec.choices.find import config_class

    with running_local_files(given):
        cls, _ = config_class("converter", name, ".")
    converter = cls()
    assert isinstance(converter, ConverterConfig)
    return converter


def usable_converters() -> dict[str, ConverterConfig]:
    """All converters by name, without those that cannot be loaded or that several packages provide."""
    found = {}
    for name in discovery.index().names("converter"):
        with contextlib.suppress(TPError):
            found[name] = load_converter(name)
    return found


def completed(converter: ConverterConfig, config: Mapping[str, Any]) -> Keys:
    """The content of a config.json with aliases of keys resolved and defaults filled in.

    The result records which keys are read, for :func:`tp_core.interop.accounting.account`.

    Raises:
        TPError: two aliases of a key have different values, or a value has the wrong type.
    """
    given: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in config.items():
        usual = converter.aliases.get(key, key)
        if usual in given and given[usual] != value:
            one, other = (f"'{name}' is {json.dumps(v)}" for name, v in ((spelled[usual], given[usual]), (key, value)))
            raise TPError(f"{CONFIG}: {one}, and {other}, which is another name for the same; leave one of them out")
        if usual not in given or key == usual:
            given[usual], spelled[usual] = value, key
    wrong = "; ".join(misfits(converter.defaults, given))
    if wrong:
        raise TPError(f"{CONFIG}: {wrong}")
    memory = Memory(CONFIG, given, spelled)
    try:
        found = converter.complete(Keys(with_defaults(converter.defaults, given), memory))
    except TPError:
        raise
    except MISFITS as error:
        message = f"the converter cannot use a value: {type(error).__name__}: {error}"
        raise TPError(f"{CONFIG}: {message}") from error
    return found if isinstance(found, Keys) else Keys(found, memory)


def with_defaults(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """An object with defaults filled in, also in the objects inside it."""
    found = {**defaults, **given}
    for key, default in defaults.items():
        if isinstance(default, Mapping) and isinstance(found[key] or {}, Mapping):
            found[key] = with_defaults(default, found[key] or {})
    return found


def architecture_for(converter: ConverterConfig, config: Mapping[str, Any], asked: str | None) -> str:
    """The class in transformers to which a checkpoint belongs.

    Args:
        converter: the converter.
        config: the content of config.json.
        asked: the architecture that the user chose, or None for that of config.json.

    Raises:
        TPError: the converter does not support it, or config.json does not name one.
    """
    known = list(converter.architectures)
    listed = config.get("architectures")
    name = asked or (listed[0] if isinstance(listed, list) and listed else None)
    if name is None:
        raise TPError(f"config.json names no architecture; give it with --architecture: {', '.join(known)}")
    if not isinstance(name, str):
        raise TPError(f"config.json: 'architectures' is {json.dumps(listed)}; expected a list of names")
    if name not in converter.architectures:
        near = did_you_mean(str(name), known)
        bare = next((each for each, targets in converter.architectures.items() if not targets), None)
        hint = f"; --architecture {bare} takes the model without its head" if bare and not asked else ""
        known_ones = f"known: {', '.join(known)}"
        raise TPError(f"no conversion of the architecture '{name}'; {near or known_ones}{hint}")
    return str(name)
