"""The shortest spec of a model: with the preset that is nearest, and without options that have their defaults."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.interop.folders import spec_of
from tp_core.spec.choices.find import config_class

#: The components of a model, in the order of the data flow.
_COMPONENTS = ("streams", "embedding", "encoder", "target_embedding", "decoder", "target")

Path = tuple[str | int, ...]

#: Options that a model passes on to all its modules.
_PASSED_ON = ("norm", "dropout", "num_heads", "num_layers", "feed_forward_size", "norm_position", "activation")


def shortest(model: Mapping[str, Any]) -> dict[str, Any]:
    """The spec's ``extends`` and ``model:`` that resolve to the same model as a given ``model:`` part.

    Args:
        model: the ``model:`` part of a spec, with any of its options.

    Raises:
        TPError: the model is not valid.
    """
    wanted = _whole({"model": model})
    best = _pruned({"model": _hoisted(model, {}, wanted)}, wanted)
    # A preset may set anything, so that all options are given over it first.
    every = {**wanted, "vocab_size": model.get("vocab_size")}
    if "pooling" not in model:
        del every["pooling"]
    for preset in _alike(wanted):
        over = {"extends": preset}
        if _resolved({**over, "model": every}) == wanted:
            found = _pruned({**over, "model": _hoisted(every, over, wanted)}, wanted)
            best = found if _size(found) < _size(best) else best
    return best


def _resolved(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ``model:`` part with all its options; None if the spec is not valid."""
    try:
        return _whole(spec)
    except TPError:
        return None


def _whole(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The ``model:`` part with all its options.

    Raises:
        TPError: the spec is not valid.
    """
    # The processor of a preset is for its targets; that of the spec is chosen elsewhere.
    others = {"data": {"processor": None}} if "extends" in spec else {}
    model: dict[str, Any] = spec_of({"tp": 1, **spec, **others}).dump()["model"]
    _fill(model)
    return model


def _fill(tree: Any) -> None:
    """Replace the sizes of transformer layers that are left out by those that they have."""
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        _fill(each)
    if isinstance(tree, dict) and {"mixer", "num_heads", "hidden_size"} <= tree.keys():
        tree["feed_forward_size"] = tree["feed_forward_size"] or 4 * tree["hidden_size"]
        for inner in tree["feed_forward"].values():
            if inner.get("feed_forward_size") in (None, tree["feed_forward_size"]):
                inner.pop("feed_forward_size", None)
        attention = tree["mixer"].get("attention")
        if attention is not None:
            attention["head_size"] = attention["head_size"] or tree["hidden_size"] // tree["num_heads"]


def _alike(wanted: Mapping[str, Any]) -> list[str]:
    """The presets whose models have the same modules and width."""
    found = []
    for name in discovery.index().names("presets"):
        model = _resolved({"extends": name})
        if model is not None and _outline(model) == _outline(wanted):
            found.append(name)
    return found


def _outline(model: Mapping[str, Any]) -> Any:
    """The facts by which a preset is chosen."""
    if "streams" in model:
        return [(name, _outline(each) if isinstance(each, dict) else each) for name, each in model["streams"].items()]
    ((encoder, options),) = model.get("encoder", {"": {}}).items()
    modules = [next(iter(module)) for module in model["embedding"]["modules"]]
    sizes = [options.get(key) for key in ("hidden_size", "num_layers", "num_heads")]
    # Segments and norms of the original have other names than those of presets.
    return modules[0], len(modules), encoder, sizes, bool(model.get("decoder"))


def _hoisted(model: Mapping[str, Any], over: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The model with options that are equal everywhere also at its top, so that the inner ones can be left out.

    Args:
        model: the ``model:`` part.
        over: the other keys of the spec.
        wanted: the model to which the spec must resolve.
    """
    made: dict[str, Any] = copy.deepcopy(dict(model))
    for option in _PASSED_ON:
        values = [value for value in _values(made, option) if value not in ("none", {"none": {}})]
        if values and option not in made and all(value == values[0] for value in values):
            further = {**made, option: values[0]}  # at the end, so that the inner ones are left out first
            made = further if _resolved({**over, "model": further}) == wanted else made
    return made


def _values(tree: Any, option: str) -> Iterator[Any]:
    """All values of an option in a tree."""
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    if isinstance(tree, dict) and option in tree:
        yield tree[option]
    for each in below:
        yield from _values(each, option)


def _pruned(spec: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The spec, which resolves to the wanted model, without all parts that change nothing."""
    for path in _paths(spec["model"]):
        shorter = _without(spec, path)
        if shorter is not None and _resolved(shorter) == wanted:
            spec = shorter
    model = spec.pop("model")
    options = {key: value for key, value in model.items() if key not in _COMPONENTS}
    ordered = {**options, **{key: model[key] for key in _COMPONENTS if key in model}}
    return {**spec, "model": plain(ordered)} if ordered else spec


def _paths(tree: Any, path: Path = ()) -> list[Path]:
    """The paths of all mappings' keys, outer ones first."""
    found: list[Path] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found += [(*path, key)] if isinstance(tree, dict) else []
        found += _paths(value, (*path, key))
    return found


def _without(spec: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """The spec without one key; None if it is already gone."""
    made = copy.deepcopy(dict(spec))
    at = made["model"]
    for part in path[:-1]:
        try:
            at = at[part]
        except (KeyError, IndexError, TypeError):
            return None
    if not isinstance(at, dict) or path[-1] not in at:
        return None
    del at[path[-1]]
    return made


def plain(tree: Any) -> Any:
    """The tree as people write it: ``word`` for ``{word: {}}``, and a list of modules without options of its own."""
    if isinstance(tree, list):
        return [plain(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    made = {key: plain(value) for key, value in tree.items()}
    if made.keys() == {"modules"}:
        return made["modules"]
    if len(made) == 1 and next(iter(made.values())) == {}:
        return next(iter(made))
    return made


def without_defaults(kind: str, tree: dict[str, Any]) -> dict[str, Any]:
    """A module as in a spec, without options that have their defaults.

    Args:
        kind: the kind of the module, such as ``processor``.
        tree: its name and its options. Options of a module that is not installed stay.
    """
    ((name, options),) = tree.items()
    try:
        fields = config_class(kind, name, ".")[0].model_fields
    except TPError:
        return tree
    usual = {
        key: field.get_default(call_default_factory=True) for key, field in fields.items() if not field.is_required()
    }
    # The default of max_length depends on the model.
    kept = {
        key: value for key, value in options.items() if key == "max_length" or key not in usual or usual[key] != value
    }
    return {name: kept}


def _size(tree: Any) -> int:
    """The number of keys and values."""
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + sum(_size(each) for each in below)
