"""The ports that a module requires, provides and withdraws, with a check of their form. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port, PortKind
from tp_core.packages.plugin_errors import expect, wrong_value
from tp_core.suggest import did_you_mean

_KINDS = get_args(PortKind)
_SYMBOLS = ("batch", "length")
_DTYPES = ("int64", "float32", "bool")


def fields(
    config: ModuleConfig, method: Literal["requires", "provides"], context: BuildContext
) -> dict[Port, FieldSpec]:
    """The ports that a module requires or provides.

    Raises:
        PluginError: the method returns something else.
    """
    found: Any = getattr(config, method)(context)
    expected = "a dict of Ports and FieldSpecs"
    ports: dict[Port, FieldSpec] = expect(found, dict, config, method, expected)
    for port, spec in ports.items():
        expect(port, Port, config, method, expected)
        expect(spec, FieldSpec, config, method, expected)
        if wrong := _wrong_port(port, asks=method == "requires"):
            raise wrong_value(config, method, repr(port), wrong)
        if wrong := _wrong_spec(spec):
            raise wrong_value(config, method, repr(spec), wrong)
    return ports


def withdrawn(config: ModuleConfig, context: BuildContext) -> list[Port]:
    """The published values that a module withdraws.

    Raises:
        PluginError: the method returns something else.
    """
    expected = "a collection of published Ports"
    found: Any = config.withdraws(context)
    expect(found, Iterable, config, "withdraws", expected)
    ports: list[Port] = [expect(port, Port, config, "withdraws", expected) for port in found]
    for port in ports:
        if port.kind != "published":
            raise wrong_value(config, "withdraws", repr(port), expected)
    return ports


def _wrong_port(port: Port, asks: bool) -> str:
    """The expected form of a port; empty if the port is valid."""
    if port.kind not in _KINDS:
        near = did_you_mean(str(port.kind), _KINDS)
        return f"a Port of the kinds {', '.join(_KINDS)}" + (f"; {near}" if near else "")
    if not (isinstance(port.name, str) and port.name and isinstance(port.of, str)):
        return "a Port with a name"
    if asks and port.of:
        return "a Port without 'of': the module's place determines its stream or target"
    return ""


def _wrong_spec(spec: FieldSpec) -> str:
    """The expected form of a tensor description; empty if the description is valid."""
    sizes = spec.shape if isinstance(spec.shape, tuple) else (None,)
    if not all(size in _SYMBOLS if isinstance(size, str) else _is_count(size) for size in sizes):
        return "a shape that is a tuple of integers from 0, 'batch' and 'length'"
    if spec.dtype not in _DTYPES:
        near = did_you_mean(str(spec.dtype), _DTYPES)
        return f"a dtype of {', '.join(_DTYPES)}" + (f"; {near}" if near else "")
    if spec.high is not None and not _is_count(spec.high):
        return "high, an integer from 0 or None"
    return ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
