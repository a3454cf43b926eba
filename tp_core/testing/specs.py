"""Minimal specs around a module under test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.local.load import load
from tp_core.local.trust import running_local_files
from tp_core.options.base import ModuleConfig
from tp_core.options.ports import CAUSAL, Port
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec, spec_dumper

CONTENT = "tp_core.testing.options:ContentConfig"
READOUT = "tp_core.testing.options:ReadoutConfig"

#: Small sizes; the hidden size is a multiple of many numbers of heads.
SIZES = {"hidden_size": 24, "vocab_size": 61}

#: A folder without files, so that ``package.module:Class`` is imported and not read from the working folder.
_NOWHERE = os.devnull


def name_of(module: str | type[ModuleConfig] | ModuleConfig) -> str:
    """The name of a module in a spec: the given name, or ``package.module:Class``."""
    if isinstance(module, str):
        return module
    cls = module if isinstance(module, type) else type(module)
    assert "." not in cls.__qualname__, (
        f"{cls.__qualname__} is defined inside another class or function; a spec can only name classes of a module"
    )
    return f"{cls.__module__}:{cls.__qualname__}"


def options_of(module: str | type[ModuleConfig] | ModuleConfig, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The given options, together with the options that are set in a config instance."""
    own = module.model_dump(exclude_unset=True) if isinstance(module, ModuleConfig) else {}
    return {**own, **(options or {})}


def kind_of(module: str | type[ModuleConfig] | ModuleConfig, kind: str | None) -> str:
    """The module's kind: the given kind, that of the config class, or the only kind with this installed name."""
    if kind is not None:
        return kind
    if not isinstance(module, str):
        return module.kind
    if ":" in module:
        return str(load(module, _NOWHERE).value.kind)
    found = [each for each in discovery.index().kinds if module in discovery.index().names(each)]
    assert len(found) == 1, f"'{module}' is installed as {' and '.join(found) or 'nothing'}; give the kind to check"
    return found[0]


def config_class_of(kind: str, name: str) -> type[ModuleConfig]:
    """The config class with the given name.

    Raises:
        AssertionError: the name is unknown, the class cannot be imported, or it is of another kind.
    """
    from tp_core.spec.choices.find import config_class

    try:
        with running_local_files(True):
            return config_class(kind, name, _NOWHERE)[0]
    except TPError as error:
        raise AssertionError(str(error)) from None


def minimal_model(kind: str, name: str, options: dict[str, Any], cls: type[ModuleConfig]) -> dict[str, Any]:
    """The ``model:`` part of a minimal spec with this module."""
    chosen = {name: options}
    causal = kind == "target" and CAUSAL in _requires(cls, options)
    transformer = {"num_layers": 1, "num_heads": 2, "mask": "causal" if causal else "fully_visible"}
    model: dict[str, Any] = {
        **SIZES,
        "embedding": [CONTENT],
        "encoder": {"transformer": transformer},
        "target": [READOUT],
    }
    if kind == "embedding":
        model["embedding"] = [chosen] if getattr(cls, "makes_sequence", True) else [CONTENT, chosen]
    elif kind == "decoder":
        model["decoder"] = chosen
        if getattr(cls, "needs_target_embedding", True):
            model["target_embedding"] = [CONTENT]
    else:
        model[kind] = [chosen] if kind == "target" else chosen
        if getattr(cls, "joins_streams", False):
            model["streams"] = {each: {"embedding": [CONTENT], "encoder": "identity"} for each in ("one", "other")}
    return model


def _requires(cls: type[ModuleConfig], options: dict[str, Any]) -> Mapping[Port, Any]:
    from tp_core.options.context import BuildContext

    try:
        return cls(**options).requires(BuildContext())
    except ValueError:  # loading the spec will report the wrong options
        return {}


def minimal_spec(model: Mapping[str, Any]) -> Spec:
    """Load a spec with this ``model:`` part from a file, like a user's spec.

    Raises:
        AssertionError: the spec has problems. The message lists them.
    """
    return reloaded({"tp": 1, "model": dict(model)})


def reloaded(tree: Mapping[str, Any]) -> Spec:
    """The spec that results from writing a plain tree to a file and loading it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "conformance.yaml"
        file.write_text(yaml.dump(dict(tree), Dumper=spec_dumper(), sort_keys=False), encoding="utf-8")
        try:
            return load_spec(file)
        except TPError as error:
            raise AssertionError(f"the spec does not load: {error}") from None
