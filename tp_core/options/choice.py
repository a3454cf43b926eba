"""Modules that are chosen by name, in a spec or in an option of another module. Torch-free."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

from pydantic import BaseModel, Field, GetCoreSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, PydanticUndefined, core_schema

from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.discovery import PluginEntry
    from tp_core.local import Namespace
    from tp_core.options.base import Choosing, ModuleConfig
    from tp_core.options.slices import Slices

C = TypeVar("C", bound="ModuleConfig")


class Slot(NamedTuple):
    """An option that chooses modules.

    Attributes:
        base: common base class of the modules' configs.
        many: True if the option chooses several modules.
        paths: True if the option holds data inputs, as ``data.train`` does: a path, the choice of a module, or a list
            of these. Its value is a list of texts and choices.
    """

    base: "type[ModuleConfig]"
    many: bool = False
    paths: bool = False

    @property
    def kind(self) -> str:
        """The kind of the modules."""
        return self.base.kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            partial(_validated, self),
            serialization=core_schema.plain_serializer_function_ser_schema(_dumped, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        # tp_core.spec.json_schema adds the available modules to the schema of specs.
        return {"type": ["string", "object"]}


@dataclass(frozen=True)
class Chosen(Generic[C]):
    """A module chosen by name, with its validated options and its origin.

    It is also the type of an option that chooses a module: ``codec: Chosen[CodecConfig]``. Use ``| None`` for an
    optional module and ``list[Chosen[CodecConfig]]`` for several. Specs and Python code write the choice as ``name`` or
    ``{name: {options}}``. Python code may also pass a config.

    Attributes:
        name: name of the module, without the distribution; the names of the module's weights contain it.
        path: path of the module's options in the spec; empty if Python code chose the module.
        written: name as written in the spec, with the distribution if several offer the name: ``word@tp-text``.
        local: local files that define the module; None for a module of an installed package.
        place: like ``path``, but always made of module names, however the spec writes them.
        missing: reason why the module is not available, for a module that a trained model can be used without
            (:class:`tp_core.options.missing.MissingConfig`); empty for an available module.
    """

    kind: str
    name: str
    path: str
    config: C
    distribution: str = "tp-core"
    version: str = ""
    portable: bool = True
    local: "Namespace | None" = field(default=None, compare=False, repr=False)
    written: str = ""
    place: str = field(default="", compare=False, repr=False)
    missing: str = ""

    def __post_init__(self) -> None:
        if not self.written:
            object.__setattr__(self, "written", self.name)
        if not self.place:
            object.__setattr__(self, "place", self.path)

    @classmethod
    def of(
        cls,
        kind: str,
        written: str,
        config: C,
        entry: "PluginEntry | None",
        path: str = "",
        place: str = "",
        local: "Namespace | None" = None,
    ) -> "Chosen[C]":
        """Make the choice from an entry point; without one, the module comes from a local file or Python code."""
        if entry is None:
            return cls(kind, written, path, config, "local file", portable=False, local=local, place=place)
        return cls(kind, entry.name, path, config, entry.distribution, entry.version, written=written, place=place)

    @property
    def instance_name(self) -> str:
        """Name that the model uses: the target's own name if it has one, else the module's name."""
        own: str | None = getattr(self.config, "name", None) if self.kind == "target" else None
        return own or self.name

    @property
    def display_name(self) -> str:
        """The module's name, after the target's own name if it has one."""
        return self.name if self.instance_name == self.name else f"{self.instance_name}: {self.name}"

    def dump(self) -> dict[str, Any]:
        """Canonical form with every option; options that inner modules inherit unchanged are written only once."""
        return {self.written: _said_once(self.config, self.config.model_dump(mode="json"), {})}

    @staticmethod
    def by_default(choice: str | Mapping[str, Mapping[str, Any]] | list[Any], **described: Any) -> Any:
        """The default of an option that chooses a module: ``codec: Chosen[CodecConfig] = Chosen.by_default("zigzag")``.

        Args:
            choice: the choice as written in a spec.
            described: further arguments of :func:`pydantic.Field`.
        """
        return Field(choice, **described)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, base: "type[ModuleConfig]") -> Any:
            # A marker is needed: pydantic treats a generic dataclass as a plain one and ignores its own schema.
            return Annotated[cls, Slot(base)]


#: Cache: config class → its slots.
_SLOTS: "WeakKeyDictionary[type[BaseModel], dict[str, Slot]]" = WeakKeyDictionary()


def _dumped(chosen: Chosen[Any] | str, info: SerializationInfo) -> dict[str, Any] | str:
    if isinstance(chosen, str):
        return chosen
    return {chosen.written: chosen.config.model_dump(mode="json", exclude_unset=info.exclude_unset)}


def slots_of(config: type[BaseModel]) -> dict[str, Slot]:
    """The options of a config class that choose modules, by name."""
    if (known := _SLOTS.get(config)) is not None:
        return known
    found: dict[str, Slot] = {}
    for name, info in config.model_fields.items():
        marks = [each for each in info.metadata if isinstance(each, Slot)]
        if slot := marks[0] if marks else _slot(info.annotation):
            found[name] = slot
    if getattr(config, "__pydantic_fields_complete__", True):  # otherwise some names are not resolved yet
        _SLOTS[config] = found
    return found


def _slot(annotation: Any) -> Slot | None:
    """The marker inside an annotation such as ``list[Chosen[Base]] | None``."""
    if isinstance(annotation, Slot):
        return annotation
    found = next((slot for each in get_args(annotation) if (slot := _slot(each))), None)
    return found and found._replace(many=not found.paths and (found.many or get_origin(annotation) is list))


def _said_once(config: "ModuleConfig", options: dict[str, Any], around: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which inner modules omit the values that they inherit."""
    passed = {**around, **{name: options[name] for name in config.passed_on if options.get(name) is not None}}
    found = dict(options)
    for option in slots_of(type(config)).keys() & options.keys():
        chosen, written = getattr(config, option), options[option]
        several = isinstance(written, list)
        pairs = zip(chosen, written) if several else [(chosen, written)] if chosen is not None else []
        changed = [
            one if isinstance(one, str) else {name: _alone(each, inner, passed) for name, inner in one.items()}
            for each, one in pairs
        ]
        found[option] = changed if several else changed[0] if changed else written
    return found


def _alone(chosen: Chosen[Any], options: dict[str, Any], passed: Mapping[str, Any]) -> dict[str, Any]:
    inner = _said_once(chosen.config, options, passed)
    return {name: value for name, value in inner.items() if name not in passed or value != passed[name]}


def choices_in(config: BaseModel) -> Iterator[tuple[str, Chosen[Any]]]:
    """The modules that the options choose, each with its option; paths beside them are left out."""
    for option in slots_of(type(config)):
        value = getattr(config, option)
        several = value if isinstance(value, list) else [value]
        yield from ((option, each) for each in several if each is not None and not isinstance(each, str))
    for _, layer in slices.distinct() if (slices := _slices(config)) else ():
        yield from choices_in(layer)


def _slices(config: BaseModel) -> "Slices | None":
    option: str = getattr(config, "sliced", "")
    found: Slices | None = getattr(config, option) if option else None
    return found


def within(chosen: Chosen[Any], labels: bool = True) -> Iterator[Chosen[Any]]:
    """The modules that a module's options choose, recursively; missing modules are left out.

    Args:
        labels: True to include modules that only make labels.
    """
    for option, each in choices_in(chosen.config):
        if not each.missing and (labels or option not in chosen.config.makes_labels):
            yield each
            yield from within(each, labels)


def label_makers(chosen: Chosen[Any]) -> Iterator[Chosen[Any]]:
    """The modules of :func:`within` that only make labels. A trained model is used without them."""
    used = [id(each) for each in within(chosen, labels=False)]
    return (each for each in within(chosen) if id(each) not in used)


def with_choices(
    chosen: Chosen[Any], change: Callable[[Chosen[Any]], Chosen[Any] | None], labels: bool = True
) -> Chosen[Any]:
    """A copy of a module in which inner modules are replaced, recursively.

    Args:
        change: returns the replacement of a module; None keeps it.
        labels: True to replace modules that only make labels, too.
    """

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(each) for each in value]
        if isinstance(value, str):
            return value
        inner = with_choices(value, change, labels)
        return change(inner) or inner

    def of_config(config: Any) -> Any:
        given = {
            name: getattr(config, name) for name in slots_of(type(config)) if labels or name not in config.makes_labels
        }
        update = {name: changed(value) for name, value in given.items() if value}
        if slices := _slices(config):
            update[config.sliced] = slices.changed(of_config)
        return config.model_copy(update=update) if update else config

    config = of_config(chosen.config)
    return chosen if config is chosen.config else replace(chosen, config=config)


# -- choices that Python code gives ------------------------------------------------------------------------------


class _Defaults(dict[str, Any]):
    """Default values that a module passes to inner modules, at any depth, for options that they leave unset."""


class _Given(NamedTuple):
    """A choice with default values for its options."""

    choice: Any
    defaults: _Defaults

    def __repr__(self) -> str:
        return repr(self.choice)


def completed(config: "type[Choosing]", schema: CoreSchema) -> CoreSchema:
    """Schema of a module's options that fills in default choices, and default options of the chosen modules."""
    slots = slots_of(config)
    return core_schema.with_info_before_validator_function(partial(_complete, config), schema) if slots else schema


def _complete(config: "type[Choosing]", options: Any, info: ValidationInfo) -> Any:
    if not isinstance(options, Mapping):
        return options
    slots = slots_of(config)
    given = {name: options.get(name, usual(config, name)) for name in {*slots, *config.passed_on}}
    around = info.context if isinstance(info.context, _Defaults) else {}
    defaults = _Defaults({**around, **{name: given[name] for name in config.passed_on if given[name] is not None}})

    def wrapped(value: Any, slot: Slot) -> Any:
        if isinstance(value, list):
            return [wrapped(each, slot) for each in value]
        return value if slot.paths and isinstance(value, str) else _Given(value, defaults)

    return {**options, **{name: wrapped(given[name], slots[name]) for name in slots if given[name] is not None}}


def usual(config: type[BaseModel], option: str) -> Any:
    """The default of an option; None if it has none."""
    value = config.model_fields[option].get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def _validated(slot: Slot, given: Any) -> Chosen[Any] | str:
    value, defaults = given if isinstance(given, _Given) else (given, _Defaults())
    if slot.paths and isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        value = chosen_of(value)
    if slot.paths and not isinstance(value, (Chosen, Mapping)):
        raise ValueError(f"expected a path, or a {slot.kind} as {{name: {{options}}}}, got {value!r}")
    found = value if isinstance(value, Chosen) else _found(slot.kind, value, defaults)
    base = slot.base
    if not found.missing and not isinstance(found.config, base):
        raise ValueError(f"expected a module whose options are a {base.__name__}, got a {type(found.config).__name__}")
    return found


def _found(kind: str, value: Any, defaults: _Defaults) -> Chosen[Any]:
    """The module for a name or ``{name: {options}}``; only installed modules, as a plain value has no folder."""
    from tp_core.local.trust import running_local_files
    from tp_core.spec.choices.find import find

    choice = {value: {}} if isinstance(value, str) else value
    if not isinstance(choice, Mapping) or len(choice) != 1:
        raise ValueError("expected one module, as 'name', {name: {options}} or a config")
    ((name, options),) = choice.items()
    try:
        with running_local_files(False):
            cls, entry, local = find(kind, name, "")
    except TPError as error:
        raise ValueError(str(error)) from None
    own = {key: each for key, each in defaults.items() if key in cls.model_fields and key not in (options or {})}
    config = cls.model_validate({**own, **(options or {})}, context=defaults)
    config.model_fields_set.difference_update(own)  # in a spec, these options are unset
    return Chosen.of(kind, name, config, entry, local=local)


def chosen_of(config: C) -> Chosen[C]:
    """The choice for a config: named as its class is installed, otherwise after the class itself."""
    from tp_core import discovery

    cls = type(config)
    value = f"{cls.__module__}:{cls.__qualname__}"
    entry = next((each for each in discovery.index().entries(config.kind) if each.value == value), None)
    return Chosen.of(config.kind, entry.name if entry else value, config, entry)
