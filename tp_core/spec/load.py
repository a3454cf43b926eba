"""``load_spec``: parse → inherit → override → choose → check. This file does not import torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.local.trust import running_local_files, trusted, trusting
from tp_core.packages.third_party import printing_apart
from tp_core.spec.checks.limits import name_fault
from tp_core.spec.choices.choose import choose, suggest_key
from tp_core.spec.choices.validate import absolute, validate
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.load_model import ModelResolver
from tp_core.spec.schema import (
    REQUIRED_OF_INIT,
    Spec,
    TrainSpec,
)
from tp_core.spec.sections.inference import SECTIONS, InferenceSpec
from tp_core.spec.sections.keys import SHELVES, SLOTS, TOP, TRAIN
from tp_core.spec.sections.train import TrainOptions
from tp_core.spec.tree.inherit import read
from tp_core.spec.tree.nodes import Node, Origin, describe
from tp_core.spec.tree.overrides import apply
from tp_core.suggest import did_you_mean, nearest

_NOWHERE = Node({}, Origin("default"))


def load_spec(
    path: str | os.PathLike[str] | Mapping[str, Any],
    overrides: str | Sequence[str] = (),
    trust_code: bool | None = None,
) -> Spec:
    """Load and validate a spec file, a preset by its name, or a spec as a dictionary.

    Args:
        path: a YAML or JSON file, the name of an installed preset, or a dictionary with the content of such a file. In
            a dictionary, relative paths are relative to the current folder.
        overrides: one setting or several settings such as ``train.steps=100``, merged over the file.
        trust_code: permission to run Python files. By default, files beside the spec may run, and files of models that
            it names may not. True allows both, False allows none.

    Raises:
        SpecError: the spec has problems; the error lists all of them, sorted by place.
        TPError: an argument has a wrong type.
    """
    if not isinstance(path, (str, os.PathLike, Mapping)):
        raise TPError(f"expected the file of a spec, the name of a preset or a dictionary, got {type(path).__name__}")
    settings = [overrides] if isinstance(overrides, str) else overrides
    if isinstance(settings, Mapping) or not all(isinstance(each, str) for each in settings):
        raise TPError(f"overrides: expected texts such as 'train.steps=100', got {overrides!r}")
    from tp_core.spec.checks.inference import check_inference
    from tp_core.spec.checks.model import check_model
    from tp_core.spec.checks.plugin_problems import plugin_errors_told
    from tp_core.spec.checks.sets import check_sets
    from tp_core.spec.context import with_model_limits

    discovery.refresh()
    problems = Problems()
    spec: Spec | None = None
    with (
        running_local_files(trust_code is not False),
        trusting(bool(trust_code)),
        printing_apart(),
        plugin_errors_told(problems, lambda: spec),
    ):
        root = apply(read(path if isinstance(path, Mapping) else str(path), problems), list(settings), problems)
        problems.unknown_modules, problems.tree = bool(problems), root
        spec = _Resolver(root, problems).spec(_name(path))
        if spec is not None and not problems and check_sets(spec, problems):
            spec = with_model_limits(spec)
            check_model(spec, problems)
            check_inference(spec, problems)
        if problems or spec is None:
            raise SpecError(problems)
        return replace(spec, trust_code=trusted())


def _name(path: str | os.PathLike[str] | Mapping[str, Any]) -> str:
    if isinstance(path, Mapping):
        return "spec"
    return Path(path).stem if Path(path).suffix in (".yaml", ".yml", ".json") else Path(path).name


class _Resolver(ModelResolver):
    """Walks through a merged tree once, and collects every problem."""

    def spec(self, name: str) -> Spec | None:
        top = self.root.mapping
        misspelt = {key: nearest(key, TOP) for key in top if key not in TOP}
        for key in misspelt:
            self.problems.add(key, suggest_key(key, TOP, "", self.root), top[key], key=True)
        generation = top["tp"].value if "tp" in top else 1
        if type(generation) is not int or generation != 1:
            message = f"this version reads specs of generation 1 only, got {describe(generation)}"
            self.problems.add("tp", message, top["tp"])
        if "name" in top and not isinstance(top["name"].value, (str, type(None))):
            self.problems.add("name", f"expected a text, got {describe(top['name'].value)}", top["name"])
        elif "name" in top and top["name"].value is not None and (fault := name_fault(str(top["name"].value))):
            self.problems.add("name", fault, top["name"])
        init_from = self.init_from(top.get("init_from"))
        require_init = self.require_init(top.get("require_init"), init_from)
        if "model" not in top and "model" not in misspelt.values():
            self.problems.add("model", "is required: the components of the model", self.root)
        data = self.data(self.section("data"))
        model = self.model(top["model"], data) if "model" in top else None
        train = self.train(self.section("train"))
        inference = self.inference(self.section("inference"))
        if model is None or train is None or data is None or inference is None or self.problems:
            return None
        given = top.get("name")
        shown = str(given.value) if given is not None and given.value else name
        base = Path(self.root.origin.base)
        return Spec(shown, base, model, data, train, "data" in top, init_from, inference, self.root, require_init)

    def init_from(self, node: Node | None) -> dict[str, str]:
        """Models with the initial weights: one for the whole model, or one for each named part."""
        if node is None or node.value is None:
            return {}
        found: dict[str, str] = {}
        parts = {"": node} if isinstance(node.value, str) else node.mapping
        if not parts:
            message = f"expected a path, or a mapping of parts of the model to paths, got {describe(node.value)}"
            self.problems.add("init_from", message, node)
        for part, each in parts.items():
            if isinstance(each.value, str) and each.value:
                found[part] = absolute(each.value, each.origin.base)
            elif each.value is not None:  # null removes the parent's value
                self.problems.add(f"init_from.{part}", f"expected a path, got {describe(each.value)}", each)
        return found

    def require_init(self, node: Node | None, init_from: Mapping[str, str]) -> tuple[str, ...]:
        """The requirements on the models with the initial weights."""
        if node is None or node.value is None:
            return ()
        items = node.items if isinstance(node.value, list) else [node]
        for item in items:
            if item.value not in (*REQUIRED_OF_INIT, "all"):
                near = did_you_mean(str(item.value), (*REQUIRED_OF_INIT, "all"))
                message = f"expected all, or some of {', '.join(REQUIRED_OF_INIT)}, got {describe(item.value)}"
                self.problems.add("require_init", message + (f"; {near}" if near else ""), item)
        if not init_from:
            self.problems.add("require_init", "belongs beside init_from, which the spec does not have", node, key=True)
        asked = {item.value for item in items if isinstance(item.value, str)}
        return tuple(name for name in REQUIRED_OF_INIT if asked & {name, "all"})

    def section(self, name: str) -> Node:
        node = self.root.mapping.get(name)
        if node is None or node.value is None:
            return _NOWHERE
        if not isinstance(node.value, dict):
            self.problems.add(name, f"expected a mapping, got {describe(node.value)}", node)
            return _NOWHERE
        return node

    def inference(self, node: Node) -> InferenceSpec | None:
        """The options for inference, which are the defaults of commands."""
        children = node.mapping
        for key in children:
            if key not in SECTIONS:
                message = suggest_key(key, SECTIONS, "inference", self.root)
                self.problems.add(f"inference.{key}", message, children[key], key=True)
        found: dict[str, Any] = {}
        for name, options in SECTIONS.items():
            own = children.get(name, _NOWHERE)
            if own.value is not None and not isinstance(own.value, dict):
                self.problems.add(f"inference.{name}", f"expected a mapping, got {describe(own.value)}", own)
                continue
            # Validators are slow to make, and most specs do not have this section.
            usual = options.model_construct() if not own.value else None
            found[name] = usual or validate(options, f"inference.{name}", own.mapping, own, self.problems)
        return InferenceSpec(**found) if len(found) == len(SECTIONS) and None not in found.values() else None

    # -- train -------------------------------------------------------------------------------------------------

    def train(self, node: Node) -> TrainSpec | None:
        children = node.mapping
        plain = {k: v for k, v in children.items() if k not in (*SLOTS, *SHELVES)}
        for key in list(plain):
            if key not in TRAIN:
                message = suggest_key(key, TRAIN, "train", self.root)
                self.problems.add(f"train.{key}", message, plain.pop(key), key=True)
        options = validate(TrainOptions, "train", plain, node, self.problems)
        for key, message in options.check() if options is not None else ():
            self.problems.add(f"train.{key}", message, children.get(key, node))
        chosen: dict[str, Any] = {}
        for key, default in SLOTS.items():
            given = children.get(key)
            if given is None or given.value is None:
                given = Node({default: Node({}, node.origin)}, node.origin)
            chosen[key] = choose(key, given, f"train.{key}", {}, self.problems, self.used)
        for key, (kind, usual) in SHELVES.items():
            unset = Node([Node({name: Node({}, node.origin)}, node.origin) for name in usual], node.origin)
            items = children.get(key, unset).items
            chosen[key] = tuple(self.one(kind, item, f"train.{key}", {}) for item in items)
        if options is None or any(c is None or (isinstance(c, tuple) and None in c) for c in chosen.values()):
            return None
        return TrainSpec(options, **chosen)
