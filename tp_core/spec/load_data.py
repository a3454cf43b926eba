"""The ``data:`` part of a spec: one data set, or a mixture of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tp_core.interfaces.tokenizer import TokenizerFacts
from tp_core.options.choice import Chosen
from tp_core.spec.choices.choose import Used, choose, suggest_key
from tp_core.spec.choices.validate import Default, validate
from tp_core.spec.errors import Problems
from tp_core.spec.sections.data import SOURCES, DataOptions, DataSpec, SetOptions
from tp_core.spec.sections.keys import CHOSEN, DATA, SET
from tp_core.spec.trained.use import in_use
from tp_core.spec.tree.nodes import Node, describe


class DataResolver:
    """The part of the resolver that reads ``data:``; the subclass reads the rest.

    Attributes:
        used: the defaults in ``model:`` that at least one module has as an option.
    """

    def __init__(self, root: Node, problems: Problems) -> None:
        self.root, self.problems = root, problems
        self.used = Used()
        self._sources: dict[int, Any] = {}

    def one(self, kind: str, node: Node | None, path: str, defaults: Mapping[str, Default]) -> Chosen[Any] | None:
        if node is None or node.value is None:
            return None
        return choose(kind, node, path, defaults, self.problems, self.used)

    def data(self, node: Node) -> DataSpec | None:
        children = node.mapping
        plain = {k: v for k, v in children.items() if k not in (*CHOSEN, "sets")}
        for key in list(plain):
            if key not in DATA:
                message = suggest_key(key, DATA, "data", self.root)
                self.problems.add(f"data.{key}", message, plain.pop(key), key=True)
        options = self.data_options(plain, "data", node)
        tokenizer = self.one("tokenizer", children.get("tokenizer"), "data.tokenizer", {})
        target_tokenizer = self.one("tokenizer", children.get("target_tokenizer"), "data.target_tokenizer", {})
        processor = self.one("processor", children.get("processor"), "data.processor", {})
        if options is None:
            return None
        vocabulary, target_vocabulary = self.vocabulary(tokenizer), self.vocabulary(target_tokenizer)
        whole = DataSpec(options, tokenizer, processor, target_tokenizer, vocabulary, target_vocabulary)
        sets = children.get("sets")
        if sets is None or sets.value is None:
            return whole
        if not isinstance(sets.value, dict) or not sets.value:
            got = "none" if sets.value == {} else describe(sets.value)
            message = f"expected a mapping of data sets by name, got {got}"
            self.problems.add("data.sets", message, sets)
            return None
        parts = {name: self.data_set(name, child, whole, plain) for name, child in sets.mapping.items()}
        if any(part is None for part in parts.values()):
            return None
        return replace(whole, sets={name: part for name, part in parts.items() if part is not None})

    def data_set(self, name: str, node: Node, whole: DataSpec, common: Mapping[str, Node]) -> DataSpec | None:
        """One of several data sets. Keys that it does not set are taken from the keys beside ``sets``."""
        path = f"data.sets.{name}"
        if not isinstance(node.value, dict):
            self.problems.add(path, f"expected a mapping, got {describe(node.value)}", node)
            return None
        own = {k: v for k, v in node.mapping.items() if k != "processor"}
        for key in list(own):
            if key not in SET:
                self.problems.add(f"{path}.{key}", suggest_key(key, SET, path, self.root), own.pop(key), key=True)
        mixing = {k: own.pop(k) for k in SetOptions.model_fields if k in own}
        merged = {**common, **own}
        options = self.data_options(merged, path, node)
        chosen = validate(SetOptions, path, mixing, node, self.problems)
        processor = self.one("processor", node.mapping.get("processor"), f"{path}.processor", {}) or whole.processor
        if options is None or chosen is None:
            return None
        if "labels" not in own and chosen.targets is not None:  # common labels, limited to the targets of this set
            labels = {name: column for name, column in options.labels.items() if name in chosen.targets}
            options = options.model_copy(update={"labels": labels})
        return replace(whole, options=options, processor=processor, name=name, mixing=chosen)

    def data_options(self, nodes: Mapping[str, Node], path: str, at: Node) -> DataOptions | None:
        """The plain keys of data, with the sources that they choose. For inference, the data are left out."""
        if in_use():
            nodes = {key: node for key, node in nodes.items() if key not in SOURCES}
        nodes = {key: _without_null(node) if key in ("labels", "columns") else node for key, node in nodes.items()}
        made: dict[str, Any] = {key: self.sources(nodes[key], f"{path}.{key}") for key in SOURCES if key in nodes}
        return validate(DataOptions, path, nodes, at, self.problems, made=made)

    def sources(self, node: Node, path: str) -> Any:
        """Paths unchanged, and the chosen sources. Each choice is made only once, as data sets may share it."""
        if isinstance(node.value, list):
            return [self.sources(item, f"{path}[{number}]") for number, item in enumerate(node.value)]
        if not isinstance(node.value, dict):
            return node.value
        if id(node) not in self._sources:
            chosen = self.one("source", node, path, {})
            self._sources[id(node)] = node.plain() if chosen is None else chosen
        return self._sources[id(node)]

    def vocabulary(self, tokenizer: Chosen[Any] | None) -> TokenizerFacts | None:
        if tokenizer is None:
            return None
        from tp_core.spec.checks.vocabulary import read_vocabulary

        return read_vocabulary(tokenizer, self.root, self.problems)


def _without_null(node: Node) -> Node:
    """A mapping without the keys whose value is null."""
    if node.value is None:
        return node.with_value({})
    if not isinstance(node.value, dict):
        return node
    return node.with_value({key: each for key, each in node.mapping.items() if each.value is not None})
