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
        """Slice → the options that it sets, as a spec writes them; without those that later slices set in its place."""
        count, found = len(self.layers), {}
        for place, (key, tree) in enumerate(self.keys.items()):
            after = [*self.keys.items()][place + 1 :]
            own = [
                (self.layers[number], [each for later, each in after if number in numbers(later, count)])
                for number in numbers(key, count)
            ]
            if own:
                found[key] = _written(own, tree)
        return found

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


def _written(layers: "list[tuple[ModuleConfig, list[Mapping[str, Any]]]]", tree: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a tree, each with the value of a layer in which no later slice sets it.

    Args:
        layers: configs of the layers, or of a module in each, and the trees of the later slices.
    """
    found: dict[str, Any] = {}
    for option, inner in tree.items():
        if not isinstance(inner, Mapping):
            own = next((config for config, later in layers if not any(option in each for each in later)), None)
            if own is not None:
                found[option] = own.model_dump(mode="json", include={option})[option]
            continue
        ((name, options),) = inner.items()
        same, written = [], name
        for config, later in layers:
            over = [each[option] for each in later if option in each]
            if all(isinstance(each, Mapping) and _plain(each) == _plain(inner) for each in over):
                module = getattr(config, option)
                written = module.written
                same.append((module.config, [each for (each,) in map(dict.values, over)]))
        found[option] = {written: _written(same, options)}
    return found


def _plain(choice: Mapping[str, Any]) -> str:
    """The name of a chosen module, without its distribution."""
    return next(iter(choice)).partition("@")[0]
