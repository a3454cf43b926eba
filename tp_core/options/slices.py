"""Options of some layers of a stack, by slices. Torch-free."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from tp_core.options.base import ModuleConfig


def numbers(written: str, count: int) -> range:
    """The layers that a slice names: ``7``, ``-1``, ``5::6``, ``:12`` as in Python.

    Raises:
        ValueError: it is no slice.
    """
    parts = [int(part) if part.strip() else None for part in written.split(":")]
    if len(parts) == 1 and parts[0] is not None:
        return range(count)[parts[0] : parts[0] + 1 or None] if -count <= parts[0] < count else range(0)
    if len(parts) not in (2, 3):
        raise ValueError(written)
    return range(count)[slice(*parts)]


@dataclass(frozen=True)
class Slices:
    """Options of some layers, which win over those of the stack; later slices win over earlier ones.

    Attributes:
        keys: slice → the options that it sets, as a tree of names; a module is its name in a spec.
        layers: the options of every layer, those that are alike as one object.
    """

    keys: Mapping[str, Mapping[str, Any]]
    layers: "tuple[ModuleConfig, ...]"

    def distinct(self) -> "Iterator[tuple[str, ModuleConfig]]":
        """The options that differ from those of the stack, each once, with the last slice that has a part in them."""
        seen: dict[int, None] = {}
        for number, config in enumerate(self.layers):
            last = next((key for key in reversed([*self.keys]) if number in numbers(key, len(self.layers))), None)
            if last is not None and id(config) not in seen:
                seen[id(config)] = None
                yield last, config

    def changed(self, change: "Callable[[ModuleConfig], ModuleConfig]") -> "Slices":
        """The same slices of other options."""
        made = {id(config): change(config) for config in self.layers}
        return Slices(self.keys, tuple(made[id(config)] for config in self.layers))

    def dump(self) -> dict[str, Any]:
        """Slice → the options that it sets, as a spec writes them."""
        count = len(self.layers)
        return {
            key: _written(self.layers[own[-1]], tree) for key, tree in self.keys.items() if (own := numbers(key, count))
        }

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
        raise ValueError("slices of layers are read from specs, as they change the options around them: use load_spec")
    return given


def _written(config: Any, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a tree, with a config's values."""
    found: dict[str, Any] = {}
    for option, inner in tree.items():
        value = getattr(config, option)
        module = getattr(value, "config", None)
        if module is not None and isinstance(inner, Mapping):
            ((name, options),) = inner.items()
            found[option] = {name: _written(module, options)}
        else:
            found[option] = config.model_dump(mode="json", include={option})[option]
    return found
