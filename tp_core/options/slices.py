"""Separate options for some layers of a stack, given by slices. Torch-free."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from tp_core.options.base import ModuleConfig


def numbers(written: str, count: int) -> range:
    """The layers that a slice selects: ``7``, ``-1``, ``5::6``, ``:12`` as in Python.

    Raises:
        ValueError: ``written`` is not a slice.
    """
    parts = [int(part) if part.strip() else None for part in written.split(":")]
    if len(parts) == 1 and parts[0] is not None:
        return range(count)[parts[0] : parts[0] + 1 or None] if -count <= parts[0] < count else range(0)
    if len(parts) not in (2, 3):
        raise ValueError(written)
    return range(count)[slice(*parts)]


@dataclass(frozen=True)
class Slices:
    """Options of some layers, which override those of the stack. Later slices override earlier ones.

    Attributes:
        keys: the slices that set options.
        stack: the options of the stack, without slices.
        layers: the options of every layer; equal options are one object.
    """

    keys: tuple[str, ...]
    stack: "ModuleConfig"
    layers: "tuple[ModuleConfig, ...]"

    def distinct(self) -> "Iterator[tuple[str, ModuleConfig]]":
        """The options that differ from the stack's, each once, with the last slice that selects their layer."""
        seen: dict[int, None] = {}
        for number, config in enumerate(self.layers):
            last = next((key for key in reversed(self.keys) if number in numbers(key, len(self.layers))), None)
            if last is not None and id(config) not in seen:
                seen[id(config)] = None
                yield last, config

    def changed(self, change: "Callable[[ModuleConfig], ModuleConfig]") -> "Slices":
        """The same slices with changed options."""
        made = {id(config): change(config) for config in self.layers}
        return Slices(self.keys, change(self.stack), tuple(made[id(config)] for config in self.layers))

    def dump(self) -> dict[str, Any] | None:
        """Slice → the options that differ from the stack's, as written in a spec; the slices do not overlap."""
        alike: dict[int, list[int]] = {}
        for number, config in enumerate(self.layers):
            alike.setdefault(id(config), []).append(number)
        given = {tuple(sorted(numbers(key, len(self.layers)))): key for key in reversed(self.keys)}
        found: dict[str, Any] = {}
        for group in alike.values():
            if options := _differences(self.layers[group[0]], self.stack, {}, {}):
                own = given.get(tuple(group))
                found |= dict.fromkeys(_names(group) if own is None else [own], options)
        return found or None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _accepted, serialization=core_schema.plain_serializer_function_ser_schema(cls.dump)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object"}  # completed by tp_core.spec.json_schema


def _accepted(given: Any) -> "Slices":
    if not isinstance(given, Slices):
        raise ValueError("slices of layers belong to one stack; write them in a spec, at its option 'layers'")
    return given


def _names(group: list[int]) -> list[str]:
    """Slices that select exactly these layers, in order."""
    step = group[1] - group[0] if len(group) > 1 else 1
    if len(group) == 1 or group != [*range(group[0], group[-1] + 1, step)]:
        return [str(number) for number in group]
    return [f"{group[0]}:{group[-1] + 1}" + (f":{step}" if step > 1 else "")]


def _differences(
    config: "ModuleConfig", stack: "ModuleConfig", around: Mapping[str, Any], around_stack: Mapping[str, Any]
) -> dict[str, Any]:
    """The options that must be written to turn the stack's config into this config; inherited values are omitted.

    Args:
        around: values that the config inherits if they are unset.
        around_stack: values that the stack's config inherits if they are unset.
    """
    mine, theirs = (each.model_dump(mode="json") for each in (config, stack))
    passed, passed_stack = (
        {**outer, **{name: options[name] for name in config.passed_on if options.get(name) is not None}}
        for outer, options in ((around, mine), (around_stack, theirs))
    )
    found: dict[str, Any] = {}
    for option, value in mine.items():
        chosen, before = getattr(config, option), getattr(stack, option)
        inner, same = getattr(chosen, "config", None), getattr(before, "config", None)
        if inner is not None and same is not None and chosen.written == before.written:
            if differing := _differences(inner, same, passed, passed_stack):
                found[option] = {chosen.written: differing}
            continue
        unset = option in around_stack and around_stack[option] == theirs[option]
        default = type(config).model_fields[option].get_default(call_default_factory=True)
        if value != (around.get(option, default) if unset else theirs[option]):
            found[option] = value
    return found
