"""The JSON Schema (draft 2020-12) of specs with the installed modules, for completion and checks in editors.

The schema describes forms, names, options and their ranges. Only ``tp check`` checks if the modules of a spec fit each
other, and if its files exist.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.options.base import ModuleConfig
from tp_core.options.choice import slots_of
from tp_core.spec.schema import REQUIRED_OF_INIT, ModelOptions
from tp_core.spec.sections.data import SOURCES, DataOptions, SetOptions
from tp_core.spec.sections.embedding import EmbeddingOptions
from tp_core.spec.sections.inference import SECTIONS
from tp_core.spec.sections.keys import SHELVES, SLOTS
from tp_core.spec.sections.train import TrainOptions
from tp_core.spec.tree.canonical import MODEL_KINDS

Schema = dict[str, Any]

#: The number of a layer, or a slice of layers.
_SLICE = r"^-?[0-9]+$|^(-?[0-9]+)?:(-?[0-9]+)?(:(-?[0-9]+)?)?$"

_SPEC_KINDS = (*MODEL_KINDS, "tokenizer", "processor", "source", *SLOTS, *(kind for kind, _ in SHELVES.values()))

#: ``my_file:MyConfig``, a config class in a file beside the spec.
_LOCAL = "^[^:]+:[^:]+$"


def spec_schema() -> Schema:
    """The schema of a spec file, with the options of every installed module; broken ones are left out."""
    definitions: dict[str, Schema] = {}
    options: dict[str, list[Schema]] = {}
    kinds, inside = [*_SPEC_KINDS], {*MODEL_KINDS}
    for kind in kinds:  # the loop adds the kinds of modules that options choose
        names = _configs(kind)
        for name, config in names.items():
            chosen = {slot.kind: None for slot in slots_of(config).values()}
            kinds += [each for each in chosen if each not in kinds]
            inside |= {*chosen} if kind in inside else set()
            schema = _options(config, f"{kind}.{name}", definitions)
            if kind in inside:
                for option, each in schema.get("properties", {}).items():
                    known = options.setdefault(option, [])
                    if each not in known:
                        known.append(each)
        definitions[kind] = _slot(kind, names)
        definitions[f"{kind}_list"] = _shelf(kind, names)
    # A text is a path; a list may hold paths and choices.
    definitions["source"] = _choice("source", _configs("source"))
    definitions["source_list"] = {"anyOf": [each := {"anyOf": [{"type": "string"}, _ref("source")]}, _list(each)]}
    definitions["embedding_component"] = _component(definitions)
    definitions["stream"] = _stream(options, definitions)
    definitions["model"] = _model(options, definitions)
    definitions["data"] = _data(definitions)
    definitions["train"] = _section(TrainOptions, tuple(SLOTS), definitions)
    for key, (kind, _) in SHELVES.items():
        definitions["train"]["properties"][key] = _nullable(_ref(f"{kind}_list"))
    definitions["inference"] = _inference(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tp spec",
        "description": "A model of five components, its data and its training.",
        "type": "object",
        # The paper's own configs have the model's keys at the top level.
        "if": {
            "anyOf": [{"required": ["encoder"]}, {"required": ["stream_0"]}],
            "not": {"required": ["model"]},
        },
        "then": _top(definitions["model"]["properties"], definitions["model"]["patternProperties"]),
        "else": {
            "anyOf": [{"required": ["model"]}, {"required": ["extends"]}],
            **_top({"model": _ref("model")}, {}),
        },
        "$defs": dict(sorted(definitions.items())),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _described(schema: Schema) -> Schema:
    """The description of a schema."""
    return {"description": schema["description"]}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _configs(kind: str) -> dict[str, type[ModuleConfig]]:
    """Config classes by their names in a spec, with ``@distribution`` if several distributions offer the name."""
    index = discovery.index()
    entries = list(index.entries(kind))
    names = [entry.name for entry in entries]
    found: dict[str, type[ModuleConfig]] = {}
    for entry in entries:
        try:
            config = discovery.load(entry)
        except TPError:
            continue
        if isinstance(config, type) and issubclass(config, ModuleConfig) and config.kind == kind:
            name = f"{entry.name}@{entry.distribution}" if names.count(entry.name) > 1 else entry.name
            found[name] = config
    return found


def _options(model: type[BaseModel], name: str, definitions: dict[str, Schema]) -> Schema:
    """Add the schema of a pydantic model, and the schemas that it refers to, to the definitions."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    for inner, each in schema.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = each
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
    for option, slot in slots_of(model).items():
        choice = _nullable(_ref(f"{slot.kind}_list" if slot.many or slot.paths else slot.kind))
        kept = {key: each for key, each in schema["properties"][option].items() if key in ("description", "default")}
        schema["properties"][option] = choice | kept
    if sliced := getattr(model, "sliced", ""):
        options = {option: schema["properties"][option] for option in sorted(model.of_slices)}  # type: ignore[attr-defined]
        layer = {"type": ["object", "null"], "properties": options, "additionalProperties": False}
        slices = {"type": ["object", "null"], "patternProperties": {_SLICE: layer}, "additionalProperties": False}
        schema["properties"][sliced] = slices | _described(schema["properties"][sliced])
    schema.pop("title", None)
    # Options may be inherited or set on the command line, so the file need not contain them.
    schema.pop("required", None)
    definitions[name] = schema
    return schema


def _slot(kind: str, names: dict[str, type[ModuleConfig]]) -> Schema:
    """The schema of one module: its name, or its name with options."""
    described = [{"const": name, "description": config.summary()} for name, config in names.items()]
    return {"anyOf": [*described, {"type": "string", "pattern": _LOCAL}, _choice(kind, names)]}


def _choice(kind: str, names: dict[str, type[ModuleConfig]]) -> Schema:
    """The schema of one module as its name with options."""
    return {
        "type": "object",
        "properties": {name: _nullable(_ref(f"{kind}.{name}")) for name in names},
        "patternProperties": {_LOCAL: {"type": ["object", "null"]}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _shelf(kind: str, names: dict[str, type[ModuleConfig]]) -> Schema:
    """The schema of several modules: one module, a list, or a mapping of names to options."""
    mapping = {
        "type": "object",
        "properties": {name: _nullable(_ref(f"{kind}.{name}")) for name in names},
        "patternProperties": {_LOCAL: {"type": ["object", "null"]}},
        "additionalProperties": False,
    }
    return {"anyOf": [_ref(kind), {"type": "array", "items": _ref(kind)}, mapping]}


def _component(definitions: dict[str, Schema]) -> Schema:
    """The schema of an embedding component: its modules, or its modules with the component's options."""
    schema = _options(EmbeddingOptions, "embedding_options", definitions)
    closed = {"type": "object", "additionalProperties": False}
    whole = {
        **closed,
        "properties": {"modules": _ref("embedding_list"), **schema["properties"]},
        "required": ["modules"],
    }
    # A child spec may change only the options of an inherited component.
    changed = {**closed, "properties": schema["properties"], "minProperties": 1}
    return {"anyOf": [_ref("embedding_list"), whole, changed, {"type": "null"}]}


def _defaults(options: dict[str, list[Schema]], definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The schemas of module options that may be set in ``model:`` as defaults for all modules that have them."""
    component = definitions["embedding_options"]["properties"]
    defaults = {name: each[0] if len(each) == 1 else {"anyOf": each} for name, each in options.items()}
    return {**component, **defaults}


def _stream(options: dict[str, list[Schema]], definitions: dict[str, Schema]) -> Schema:
    pooling = _options(ModelOptions, "model_options", definitions)["properties"]["pooling"]
    own = {"embedding": _ref("embedding_component"), "encoder": _ref("encoder"), "pooling": pooling}
    own["encoder_of"] = {"type": "string", "description": "the stream whose encoder this one uses"}
    properties = _defaults(options, definitions) | own
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _model(options: dict[str, list[Schema]], definitions: dict[str, Schema]) -> Schema:
    component = _ref("embedding_component")
    properties = _defaults(options, definitions) | definitions["model_options"]["properties"]
    properties |= {
        "embedding": component,
        "encoder": _ref("encoder"),
        "target_embedding": component,
        "tgt_embedding": component | {"description": "target_embedding, as the paper writes it"},
        "decoder": _nullable(_ref("decoder")),
        "target": _nullable(_ref("target_list")),
        "streams": {
            "type": "object",
            "additionalProperties": {
                "anyOf": [_ref("stream"), {"type": "string", "description": "the stream whose modules this one shares"}]
            },
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^stream_": _ref("stream")},
        "additionalProperties": False,
    }


def _inference(definitions: dict[str, Schema]) -> Schema:
    """The schema of ``inference:``, whose sections all have plain options."""
    for name, options in SECTIONS.items():
        _options(options, f"inference.{name}", definitions)
    sections = {name: _nullable(_ref(f"inference.{name}")) for name in SECTIONS}
    return {"type": ["object", "null"], "properties": sections, "additionalProperties": False}


def _data(definitions: dict[str, Schema]) -> Schema:
    """The schema of ``data:``. Its sets have all keys that are not common to all sets."""
    data = _section(DataOptions, ("processor",), definitions)
    common = {"tokenizer": _nullable(_ref("tokenizer")), "target_tokenizer": _nullable(_ref("tokenizer"))}
    one = {key: each for key, each in data["properties"].items() if key != "cache"}
    one |= _options(SetOptions, "SetOptions", definitions)["properties"]
    sets = {"type": "object", "properties": one, "additionalProperties": False}
    for properties in (data["properties"], one):
        properties |= {key: _nullable(_ref("source_list")) | _described(properties[key]) for key in SOURCES}
    data["properties"] |= {**common, "sets": {"type": "object", "additionalProperties": sets}}
    return data


def _section(model: type[BaseModel], slots: tuple[str, ...], definitions: dict[str, Schema]) -> Schema:
    """The schema of a section with plain options and slots for modules."""
    schema = _options(model, f"{model.__name__}", definitions)
    properties = {**schema["properties"], **{slot: _nullable(_ref(slot)) for slot in slots}}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _top(own: dict[str, Schema], patterns: dict[str, Schema]) -> Schema:
    text = {"type": ["string", "null"]}
    properties = {
        "tp": {"const": 1, "description": "generation of the spec's format"},
        "name": text | {"description": "the spec's name; default: the name of the file"},
        "extends": text | {"description": "parent: a preset of an installed package, or a file"},
        "init_from": {
            "type": ["string", "object", "null"],
            "additionalProperties": text,
            "description": "a model with the initial weights, or one such model per part of the model",
        },
        "require_init": {
            "anyOf": [
                {"enum": ["all", *REQUIRED_OF_INIT, None]},
                {"type": "array", "items": {"enum": ["all", *REQUIRED_OF_INIT]}},
            ],
            "description": "requirements on init_from: the same vocabulary, and all weights; default: only notes",
        },
        **own,
        "data": _ref("data"),
        "train": _ref("train"),
        "inference": _ref("inference"),
    }
    parts: Schema = {"properties": properties, "additionalProperties": False}
    return parts | ({"patternProperties": patterns} if patterns else {})
