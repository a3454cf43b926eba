"""Canonical form of module choices.

A place for one module (a *slot*) accepts ``name`` or ``{name: {options}}``. A place for several modules (a *shelf*)
accepts one of these or a list of these. The canonical forms are ``{name: {...}}`` and ``[{name: {...}}, ...]``. All
later steps receive only canonical forms.
"""

from __future__ import annotations

from collections.abc import Callable

from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.tree.nodes import Node, describe

#: Keys with which other toolkits give the name of a module, beside its options.
_NAMING = ("name", "type", "_target_", "class_name")

#: Options of the embedding component itself; any other key of its mapping is a module.
EMBEDDING_OPTIONS = ("modules", "norm", "dropout")

#: Keys of ``model`` for one module, several modules, or a component with options.
MODEL_SLOTS = ("encoder", "decoder")
MODEL_SHELVES = ("target",)
MODEL_EMBEDDINGS = ("embedding", "target_embedding")

#: Kinds of the modules inside ``model``. Their options may be set in ``model`` itself as defaults.
MODEL_KINDS = ("embedding", *MODEL_SLOTS, *MODEL_SHELVES)

#: Path outside ``model`` → kind of its one module.
OTHER_SLOTS: dict[tuple[str, ...], str] = {
    ("data", "tokenizer"): "tokenizer",
    ("data", "target_tokenizer"): "tokenizer",
    ("data", "processor"): "processor",
    ("train", "optimizer"): "optimizer",
    ("train", "schedule"): "schedule",
    ("train", "strategy"): "strategy",
}

#: Paths outside ``model`` with file paths and choices of modules of the kind ``source``.
OTHER_SOURCES = (("data", "train"), ("data", "eval"))

#: Path outside ``model`` → kind of its several modules.
OTHER_SHELVES: dict[tuple[str, ...], str] = {("train", "hooks"): "hooks", ("train", "loggers"): "logger"}

#: Spellings of the paper.
ALIASES = {"tgt_embedding": "target_embedding"}


def _fail(path: str, message: str, node: Node, *, key: bool = False) -> SpecError:
    return SpecError([SpecProblem(path, message, node.at() if key else node.origin)])


def _attempt(convert: Callable[[Node, str], Node], node: Node, path: str, problems: list[SpecProblem]) -> Node:
    """The converted node; if that fails, null, with the problems added, so that the rest is still checked."""
    try:
        return convert(node, path)
    except SpecError as error:
        problems += error.problems
        return node.with_value(None)


def slot(node: Node, path: str) -> Node:
    """Canonical form of one module choice: ``{name: {options}}``; null stays null."""
    if node.value is None:
        return node
    if isinstance(node.value, str):
        return node.with_value({node.value: Node({}, node.origin, node.origin)})
    if isinstance(node.value, dict):
        if len(node.value) != 1:
            raise _fail(path, _not_one(node), node, key=True)
        name, options = next(iter(node.value.items()))
        if options.value is None:
            options = options.with_value({})
        if not isinstance(options.value, dict):
            message = f"the options of '{name}' must be a mapping, got {describe(options.value)}"
            raise _fail(f"{path}.{name}", message, options)
        return node.with_value({name: options})
    raise _fail(path, f"expected the name of one module, got {describe(node.value)}", node)


def _not_one(node: Node) -> str:
    message = "expected one module, as 'name' or '{name: {options}}'"
    (first, options), *others = list(node.mapping.items()) or [("", node)]
    if not others:
        return f"{message}, got an empty mapping"
    names = ", ".join(name for name, _ in others)
    if options.value is None:
        return f"{message}; if {names} is meant as an option of '{first}', indent it under '{first}'"
    named = next((key for key in _NAMING if isinstance(node.mapping.get(key, node).value, str)), "")
    if named:  # the form of other toolkits
        inside = ", ".join(f"{key}: ..." for key in node.mapping if key != named)
        return f"{message}: {{{node.mapping[named].value}: {{{inside}}}}}"
    return f"{message}, got {first}, {names}"


def instance_name(choice: Node, kind: str) -> str:
    """The name of a module within a shelf: the module's name, or a target's own name."""
    ((module, options),) = choice.mapping.items()
    own = options.mapping.get("name") if kind == "target" else None
    return str(own.value) if own is not None and own.value else module


def same_module(one: str, other: str) -> bool:
    """True if two spellings may mean the same module, such as ``word`` and ``word@tp-text``."""
    return one == other or (one.partition("@")[0] == other.partition("@")[0] and ("@" in one) != ("@" in other))


def shelf(node: Node, path: str) -> Node:
    """Canonical form of several module choices: a list of ``{name: {options}}``."""
    if node.value is None:
        return node.with_value([])
    items = node.value if isinstance(node.value, list) else [node]
    if isinstance(node.value, dict) and len(node.value) > 1:
        items = [Node({name: child}, child.at(), child.key_origin) for name, child in node.value.items()]
    problems: list[SpecProblem] = []
    chosen: dict[str, Node] = {}
    for item in items:
        if item.value is None:
            problems.append(SpecProblem(path, "expected the name of a module, got nothing (null)", item.origin))
            continue
        choice = _attempt(slot, item, path, problems)
        if choice.value is None:
            continue
        name = instance_name(choice, path.removeprefix("model."))
        if name in chosen:
            hint = f"; give one of them its own name: {name}: {{name: ...}}" if path == "model.target" else ""
            problems.append(SpecProblem(path, f"'{name}' is listed twice{hint}", item.origin))
        chosen[name] = choice
    if problems:
        raise SpecError(problems)
    return node.with_value(list(chosen.values()))


def sources(node: Node, path: str) -> Node:
    """Canonical form of data inputs: paths are unchanged, and a mapping is the choice of one module."""
    if isinstance(node.value, dict):
        return slot(node, path)
    problems: list[SpecProblem] = []
    items = [
        _attempt(slot, item, f"{path}[{number}]", problems) if isinstance(item.value, dict) else item
        for number, item in enumerate(node.items)
    ]
    if problems:
        raise SpecError(problems)
    return node.with_value(items) if isinstance(node.value, list) else node


def component(node: Node, path: str) -> Node:
    """Canonical form of an embedding component: ``{modules: [...], norm: ..., ...}``."""
    if isinstance(node.value, dict) and "modules" in node.value:
        children = dict(node.value)
        children["modules"] = shelf(children["modules"], path)
        return node.with_value(children)
    if isinstance(node.value, dict) and node.value and all(key in EMBEDDING_OPTIONS for key in node.value):
        return node  # only options; the modules are inherited
    return node.with_value({"modules": shelf(node, path)})


def _model(node: Node, path: str, problems: list[SpecProblem]) -> Node:
    if not isinstance(node.value, dict):
        problems.append(SpecProblem(path, f"expected a mapping, got {describe(node.value)}", node.origin))
        return node.with_value({})
    children: dict[str, Node] = {}
    streams: dict[str, Node] = {}
    for written, child in node.value.items():
        key = ALIASES.get(written, written)
        inner = f"{path}.{key}"
        if key in children:
            spellings = " or ".join(name for name in node.value if ALIASES.get(name, name) == key)
            problems.append(SpecProblem(inner, f"is given twice; write {spellings}, not both", child.at()))
            continue
        if key in MODEL_SLOTS:
            child = _attempt(slot, child, inner, problems)
        elif key in MODEL_SHELVES:
            child = _attempt(shelf, child, inner, problems)
        elif key in MODEL_EMBEDDINGS:
            child = child if child.value is None else _attempt(component, child, inner, problems)
        elif key.startswith("stream_"):
            streams[key] = _model(child, f"{path}.streams.{key}", problems)
            continue
        elif key == "streams":
            if not isinstance(child.value, dict):
                message = f"expected a mapping of stream names, got {describe(child.value)}"
                problems.append(SpecProblem(inner, message, child.origin))
                children[key] = child.with_value({})
            for name, each in child.mapping.items():
                # A text is the name of the stream whose modules this stream shares.
                streams[name] = each if isinstance(each.value, str) else _model(each, f"{inner}.{name}", problems)
            continue
        children[key] = child
    if streams:
        first = next(iter(streams.values()))
        children["streams"] = Node(dict(streams), first.origin, first.key_origin)
    return node.with_value(children)


def canonical(root: Node, problems: list[SpecProblem]) -> Node:
    """The whole spec in canonical form.

    A file with a model's keys at its top level (the paper's JSON configs) becomes the ``model:`` part.

    Args:
        problems: receives problems about values of a wrong form, which are null in the result.
    """
    children = dict(root.mapping)
    if "model" not in children and any(_is_model_key(key) for key in children):
        known = {"tp", "name", "extends", "data", "train", "inference", "init_from", "require_init"}
        model = {k: v for k, v in children.items() if k not in known}
        children = {k: v for k, v in children.items() if k in known}
        children["model"] = Node(model, root.origin)
    if "model" in children:
        children["model"] = _model(children["model"], "model", problems)
    for paths, convert in ((OTHER_SLOTS, slot), (OTHER_SHELVES, shelf), (OTHER_SOURCES, sources)):
        for section, key in paths:
            parent = children.get(section)
            if parent is not None and key in parent.mapping:
                inner = dict(parent.mapping)
                inner[key] = _attempt(convert, inner[key], f"{section}.{key}", problems)
                children[section] = parent.with_value(inner)
    if "data" in children and "sets" in children["data"].mapping:
        children["data"] = _data_sets(children["data"], problems)
    return root.with_value(children)


def _data_sets(data: Node, problems: list[SpecProblem]) -> Node:
    """The ``data:`` part, with the modules of its sets in canonical form."""
    sets: dict[str, Node] = {}
    for name, child in data.mapping["sets"].mapping.items():
        inner = dict(child.mapping)
        for key, convert in (("processor", slot), ("train", sources), ("eval", sources)):
            if key in inner:
                inner[key] = _attempt(convert, inner[key], f"data.sets.{name}.{key}", problems)
        sets[name] = child.with_value(inner) if isinstance(child.value, dict) else child
    return data.with_value({**data.mapping, "sets": data.mapping["sets"].with_value(sets)})


def _is_model_key(key: str) -> bool:
    known = (*MODEL_SLOTS, *MODEL_SHELVES, *MODEL_EMBEDDINGS, "streams")
    return ALIASES.get(key, key) in known or key.startswith("stream_")
