"""The valid places of an option in a spec, for hints about an option at a wrong place. Torch-free.

The options are read from the classes of the sections and modules themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.options.choice import slots_of, usual
from tp_core.spec.choices.places import Place, canonical_choice
from tp_core.spec.sections.data import SOURCES, DataOptions
from tp_core.spec.sections.embedding import EmbeddingOptions
from tp_core.spec.sections.inference import SECTIONS
from tp_core.spec.sections.keys import CHOSEN, KEYS, SHELVES, SLOTS
from tp_core.spec.sections.train import TrainOptions
from tp_core.spec.tree.nodes import Node, Origin, as_node

#: Parts of a model whose options may be set at ``model:`` itself.
_SHARED = ("embedding", "target_embedding", "encoder", "decoder")

#: Kinds of modules that are parts of layers.
PARTS = ("mixer", "positions", "feed_forward", "norm")

#: Maximum number of places, or of module names, in a hint.
_MOST = 3


_UNSET = Node(None, Origin(""))


class _Module(NamedTuple):
    """A module that the spec chooses.

    Attributes:
        path: path of its options.
        kind: kind of the module.
        part: the key that chooses it.
        top: True if it is not within a stream or a data set.
    """

    path: str
    kind: str
    part: str
    top: bool
    config: type[BaseModel]


def belongs(key: str, section: str, tree: Node | None) -> str:
    """The right place in this spec of a key that the section lacks, as part of a sentence; empty if there is none."""
    straight = [name for name, keys in KEYS.items() if key in keys and name != section]
    found = [f"{name}.{key}".lstrip(".") for name in straight] + _options(key, tree)
    own = section.partition(".")[0]
    near = [each for each in found if own and each.partition(".")[0] == own and "." in each]
    trained = [each for each in found if not each.startswith("inference.")]
    chosen = near or trained or found
    if not chosen:
        return ""
    if chosen[0] == key:
        return f"it belongs at the top, as '{key}'" if section else ""
    return f"it belongs at {_listed(chosen[:1] if chosen[0] in found[: len(straight)] else chosen, 'or')}"


def within(key: str, section: str, tree: Node | None) -> str:
    """The right place of a key inside a section, as part of a sentence; empty if there is none."""
    found = [each for each in _options(key, tree) if section and each.startswith(f"{section}.")]
    return f"it belongs at {_listed(found, 'or')}" if found else ""


def kind_at(section: str, tree: Node | None) -> str:
    """The kind of the module whose options are at a place; empty if there is none."""
    return next((module.kind for module in _modules(tree) if module.path == section), "")


def in_parts(key: str, kind: str, section: str, tree: Node | None) -> str:
    """The places of an option of layer parts inside a section, as part of a sentence; empty if there are none.

    Args:
        kind: kind of the parts; empty for any kind.
    """
    inner = [m for m in _modules(tree) if m.kind in PARTS and kind in ("", m.kind) and key in m.config.model_fields]
    found = [f"{m.path}.{key}" for m in inner if not section or m.path.startswith(f"{section}.")]
    return _listed(found, "or")


def offered(key: str, only: str = "") -> str:
    """The modules of our distributions that have an option, as part of a sentence; empty if none has it.

    Args:
        only: kind of the modules; empty for any kind.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for kind, name, config in _installed():
        if only not in ("", kind):
            continue
        for path in _fields(config, ""):
            if path.rpartition(".")[2] == key:
                found.setdefault(path.lstrip("."), {}).setdefault(kind, []).append(name)
    if not found:
        return ""
    path = min(found, key=len)
    kinds = [
        f"of the {_plural(kind) if len(modules) > 1 else discovery.singular(kind)} {_listed(modules, 'and')}"
        for kind, modules in found[path].items()
    ]
    return f"it is {'an option' if path == key else f'{path}, an option'} {_listed(kinds, 'and')}"


def _plural(kind: str) -> str:
    one = discovery.singular(kind)
    return one if one.endswith("s") else f"{one}s"


def choosing(option: str, trees: Iterable[Node]) -> Place | None:
    """The kind of modules that an option of this name chooses in modules of the specs; None if it chooses none."""
    slots = (slots_of(module.config).get(option) for tree in trees for module in _modules(tree))
    return next((Place(slot.kind, slot.many) for slot in slots if slot is not None), None)


def names(tree: Node | None) -> set[str]:
    """The keys and options of specs: those of sections, of this spec's modules, and of our installed modules."""
    found = {key for keys in KEYS.values() for key in keys}
    found |= {name for model, _ in _sections() for name in _fields(model, "")}
    for config in [each.config for each in _modules(tree)] + [config for _, _, config in _installed()]:
        found |= set(_fields(config, ""))
    return {each.rpartition(".")[2] for each in found}


def _listed(words: list[str], last: str) -> str:
    """Several words as part of a sentence, with at most :data:`_MOST` words."""
    shown = list(dict.fromkeys(words))
    if len(shown) > _MOST:
        return f"{', '.join(shown[:_MOST])} {last} others"
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _options(key: str, tree: Node | None) -> list[str]:
    """The paths of an option in the spec's modules and in the mappings of its sections."""
    found: list[str] = []
    for module in _modules(tree):
        for path in _fields(module.config, module.path):
            if path.rpartition(".")[2] != key:
                continue
            straight = path == f"{module.path}.{key}"
            shared = straight and module.top and module.part in _SHARED
            found.append(f"model.{key}" if shared else path)
    if f"model.{key}" in found:  # a default for all modules that have the option
        found = [path for path in found if path == f"model.{key}" or not path.startswith("model.")]
    for model, section in _sections():
        inner = (path for path in _fields(model, section) if path.rpartition(".")[2] == key)
        found += [path for path in inner if section not in KEYS or path != f"{section}.{key}"]
    return list(dict.fromkeys(found))


def _sections() -> Iterator[tuple[type[BaseModel], str]]:
    """The classes of the sections' plain options, with their places."""
    yield TrainOptions, "train"
    yield DataOptions, "data"
    for name, options in SECTIONS.items():
        yield options, f"inference.{name}"
    yield EmbeddingOptions, "model.embedding"


def _fields(model: type[BaseModel], path: str) -> Iterator[str]:
    """The paths of a class's options, including options inside of mappings."""
    chosen = slots_of(model)
    for name, info in model.model_fields.items():
        yield f"{path}.{name}"
        for each in _flat(info.annotation) if name not in chosen else ():
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from _fields(each, f"{path}.{name}")


def _flat(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _flat(argument)


def _modules(tree: Node | None) -> Iterator[_Module]:
    """The modules that a spec chooses, including default modules, without those that are not available."""
    from tp_core.spec.choices.find import config_class

    for path, kind, choice, top in _choices(tree or Node({}, Origin(""))):
        if len(choice.mapping) != 1:
            continue
        ((name, options),) = choice.mapping.items()
        try:
            config, _ = config_class(kind, name, options.origin.base)
        except TPError:  # reported when the module is chosen
            continue
        module = _Module(f"{path}.{name}", kind, path.rpartition(".")[2], top, config)
        yield from _with_inner(module, options, _shared_choices(tree))


def _shared_choices(tree: Node | None) -> dict[str, Node]:
    """The keys of ``model:`` that are defaults of its modules."""
    return tree.mapping["model"].mapping if tree is not None and "model" in tree.mapping else {}


def _with_inner(module: _Module, options: Node, shared: dict[str, Node]) -> Iterator[_Module]:
    """A module, and the modules that its options choose by the spec, a default of the model, or their own default."""
    from tp_core.spec.choices.find import config_class

    yield module
    for option, slot in slots_of(module.config).items():
        given = options.mapping.get(option) or (shared.get(option) if module.path.startswith("model.") else None)
        given = given or as_node(usual(module.config, option), options.origin)
        choice = canonical_choice(given, Place(slot.kind, slot.many)) or _UNSET
        chosen = [pair for each in (choice.items if slot.many else [choice]) for pair in each.mapping.items()]
        for name, inner in chosen:
            with contextlib.suppress(TPError):  # reported when the module is chosen
                config, _ = config_class(slot.kind, name, inner.origin.base)
                made = _Module(f"{module.path}.{option}.{name}", slot.kind, option, False, config)
                yield from _with_inner(made, inner, shared)


def _choices(tree: Node) -> Iterator[tuple[str, str, Node, bool]]:
    """The places of a spec that choose modules: path, kind, choice, and True if outside of streams and data sets."""
    sections = {name: tree.mapping[name].mapping if name in tree.mapping else {} for name in ("model", "data", "train")}
    for key in SLOTS:
        given = sections["train"].get(key)
        chosen = given if given is not None and given.value is not None else None
        yield f"train.{key}", key, chosen or Node({SLOTS[key]: Node({}, Origin(""))}, Origin("")), True
    for key, (kind, _) in SHELVES.items():
        yield from ((f"train.{key}", kind, each, True) for each in _items(sections["train"], key))
    sets = sections["data"]["sets"].mapping if "sets" in sections["data"] else {}
    for path, part in (
        ("data", sections["data"]),
        *((f"data.sets.{name}", each.mapping) for name, each in sets.items()),
    ):
        for key in CHOSEN:
            if key in part:
                yield f"{path}.{key}", key.removeprefix("target_"), part[key], path == "data"
        for key in SOURCES:
            sources = [part[key], *part[key].items] if key in part else []
            yield from ((f"{path}.{key}", "source", each, path == "data") for each in sources if each.mapping)
    streams = sections["model"]["streams"].mapping if "streams" in sections["model"] else {}
    parts = [("model", sections["model"]), *((f"model.streams.{name}", each.mapping) for name, each in streams.items())]
    for path, part in parts:
        for key in _SHARED:
            kind = key.removeprefix("target_")
            inner = part[key].mapping if kind == "embedding" and key in part else {}
            chosen_here = _items(inner, "modules") if kind == "embedding" else [part[key]] if key in part else []
            yield from ((f"{path}.{key}", kind, each, path == "model") for each in chosen_here)
            if inner:
                norm = inner.get("norm") or parts[0][1].get("norm") or as_node("layernorm", part[key].origin)
                yield f"{path}.{key}.norm", "norm", canonical_choice(norm, Place("norm", False)) or _UNSET, False
        yield from ((f"{path}.target", "target", each, path == "model") for each in _items(part, "target"))


def _items(mapping: dict[str, Node], key: str) -> list[Node]:
    return mapping[key].items if key in mapping else []


def _installed() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """The installed modules of our own distributions; modules of others are not imported."""
    from tp_core.options.base import ModuleConfig

    for entry in discovery.index().entries():
        if entry.kind in ("presets", "commands", "converter") or not discovery.is_own(entry):
            continue
        try:
            config = discovery.load(entry)
        except TPError:
            continue
        if isinstance(config, type) and issubclass(config, ModuleConfig):
            yield entry.kind, entry.name, config
