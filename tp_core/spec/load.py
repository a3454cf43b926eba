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
from tp_core.options.choice import Chosen, within
from tp_core.options.facts import Pooling
from tp_core.packages.third_party import printing_apart
from tp_core.spec.checks.limits import name_fault
from tp_core.spec.choices.choose import Choices, choose, suggest_key
from tp_core.spec.choices.part_names import fault_of
from tp_core.spec.choices.validate import Default, absolute, validate
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.hints.key_hints import hint
from tp_core.spec.load_data import DataResolver
from tp_core.spec.schema import (
    DEFAULT_VOCAB_SIZE,
    REQUIRED_OF_INIT,
    ModelOptions,
    ModelSpec,
    Spec,
    StreamSpec,
    TrainSpec,
)
from tp_core.spec.sections.data import DataSpec
from tp_core.spec.sections.embedding import EmbeddingOptions, EmbeddingSpec
from tp_core.spec.sections.inference import SECTIONS, InferenceSpec
from tp_core.spec.sections.keys import MODEL, SHELVES, SLOTS, TOP, TRAIN
from tp_core.spec.sections.train import TrainOptions
from tp_core.spec.tree.canonical import EMBEDDING_OPTIONS
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
    from tp_core.spec.checks.model import check_model, check_sets
    from tp_core.spec.checks.plugin_problems import plugin_errors_told
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


_NO_STREAMS: Mapping[str, StreamSpec | None] = {}


class _Resolver(DataResolver):
    """Walks through a merged tree once, and collects every problem."""

    def __init__(self, root: Node, problems: Problems) -> None:
        super().__init__(root, problems)
        self.defaults: dict[str, Default] = {}

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

    # -- model -------------------------------------------------------------------------------------------------

    def model(self, node: Node, data: DataSpec | None) -> ModelSpec | None:
        children = node.mapping
        self.defaults = {k: Default(f"model.{k}", v) for k, v in children.items() if k not in MODEL}
        own = {k: v for k, v in children.items() if k in ModelOptions.model_fields}
        self.used.update(own)
        options = validate(ModelOptions, "model", own, node, self.problems)
        streams: dict[str, StreamSpec | None] = {}
        fusion = None
        if "streams" in children:
            if "embedding" in children:
                message = "the model has streams; give each stream its own embedding"
                self.problems.add("model.embedding", message, children["embedding"], key=True)
            fusion = self.fusion(children.get("encoder"))
            for name, stream in children["streams"].mapping.items():
                path = f"model.streams.{name}"
                if fault := fault_of(name):
                    self.problems.add(path, fault, stream, key=True)
                if isinstance(stream.value, str):
                    streams[name] = self.shared_stream(stream, path, streams)
                else:
                    streams[name] = self.stream(stream, path, streams)
        else:
            streams[""] = self.stream(node, "model", top=True)
        target_embedding = None
        if (below := children.get("target_embedding")) is not None and below.value is not None:
            target_embedding = self.embedding(below, "model.target_embedding", self.defaults)
        decoder = self.one("decoder", children.get("decoder"), "model.decoder", self.defaults)
        if decoder is not None and decoder.config.needs_target_embedding and target_embedding is None:
            message = f"'{decoder.name}' needs a target embedding: add model.target_embedding"
            self.problems.add("model.decoder", message, children["decoder"], key=True)
        targets = [
            self.one("target", item, "model.target", self.defaults) for item in children.get("target", _NOWHERE).items
        ]
        self.check_names(children.get("target", _NOWHERE), targets)
        known = [*MODEL, *ModelOptions.model_fields, *self.option_names(streams, decoder, targets)]
        for key in self.defaults:
            # If a module is missing, its options would be reported as unknown.
            if key not in self.used and not self.problems.unknown_modules:
                near = hint(key, known, "model", self.root)
                message = f"no module of this model has an option '{key}'" + (f"; {near}" if near else "")
                self.problems.add(f"model.{key}", message, children[key], key=True)
        if options is None or any(s is None for s in streams.values()) or any(t is None for t in targets):
            return None
        return ModelSpec(
            {name: stream for name, stream in streams.items() if stream is not None},
            tuple(t for t in targets if t is not None),
            self.vocab_size(options, data),
            self.target_vocab_size(options, data),
            options,
            target_embedding,
            decoder,
            fusion,
        )

    def check_names(self, node: Node, targets: list[Chosen[Any] | None]) -> None:
        """Add problems about own names of targets that are not allowed."""
        for target, item in zip(targets, node.items):
            if target is not None and target.instance_name != target.name and (fault := fault_of(target.instance_name)):
                self.problems.add(f"model.target.{target.name}.name", fault, item.find((target.written, "name")))

    @staticmethod
    def option_names(streams: Mapping[str, StreamSpec | None], *rest: Any) -> list[str]:
        flat: list[Any] = [x for s in streams.values() if s for x in (*s.embedding.chosen(), s.encoder)]
        for each in rest:
            flat += each if isinstance(each, list) else [each]
        every = [inner for each in flat if each is not None for inner in (each, *within(each))]
        return sorted({name for each in every for name in type(each.config).model_fields} - {"name"})

    def fusion(self, node: Node | None) -> Chosen[Any] | None:
        """The encoder that reads all streams, at the key where a model without streams has its only encoder."""
        chosen = self.one("encoder", node, "model.encoder", self.defaults)
        if chosen is not None and node is not None and not chosen.config.joins_streams:
            message = f"'{chosen.name}' reads one sequence, and the model has streams; give each stream its own encoder"
            self.problems.add("model.encoder", message, node, key=True)
        return chosen

    def stream(
        self, node: Node, path: str, before: Mapping[str, StreamSpec | None] = _NO_STREAMS, top: bool = False
    ) -> StreamSpec | None:
        children = node.mapping
        lent = self.lent_encoder(children.get("encoder_of"), path, before)
        own = {} if top else {k: Default(f"{path}.{k}", v) for k, v in children.items()}
        defaults = {**self.defaults, **own}
        for key in ("embedding", "encoder") if lent is None else ("embedding",):
            missing = key not in children or children[key].value is None
            if missing and not self.problems.concern(f"{path}.{key}"):
                names = ", ".join(discovery.index().names(key))
                self.problems.add(f"{path}.{key}", f"is required; installed: {names}", node, key=True)
        embedding = None
        if (below := children.get("embedding")) is not None and below.value is not None:
            embedding = self.embedding(below, f"{path}.embedding", defaults)
        encoder = lent or self.one("encoder", children.get("encoder"), f"{path}.encoder", defaults)
        if encoder is not None and encoder.config.joins_streams:
            message = f"'{encoder.name}' reads all of a model's streams: write it at model.encoder, beside the streams"
            self.problems.add(f"{path}.encoder", message, children.get("encoder", node), key=True)
        pooling: Pooling = "first"
        if not top:
            for key in children:
                own_keys = ("embedding", "encoder", "encoder_of", "pooling")
                if key not in own_keys and key not in self.used and encoder is not None:
                    known = [*own_keys, *type(encoder.config).model_fields]
                    message = suggest_key(key, known, path, self.root)
                    self.problems.add(f"{path}.{key}", message, children[key], key=True)
        if "pooling" in defaults:
            self.used.add("pooling")
            given = {"pooling": defaults["pooling"]}
            checked = validate(ModelOptions, path, {}, node, self.problems, given)
            pooling = checked.pooling if checked else "first"
        if embedding is None or encoder is None:
            return None
        borrowed = str(children["encoder_of"].value) if lent is not None else ""
        return StreamSpec(embedding, encoder, pooling, encoder_of=borrowed)

    def lent_encoder(self, node: Node | None, path: str, before: Mapping[str, StreamSpec | None]) -> Chosen[Any] | None:
        """The encoder of the stream that ``encoder_of`` names."""
        if node is None or node.value is None:
            return None
        own = [name for name, stream in before.items() if stream is None or not (stream.same_as or stream.encoder_of)]
        if node.value not in own:
            near = did_you_mean(str(node.value), own) or f"it names one of {', '.join(own) or 'none'}"
            message = f"there is no stream '{node.value}' above with an encoder of its own; {near}"
            self.problems.add(f"{path}.encoder_of", message, node)
            return None
        lender = before[str(node.value)]
        return None if lender is None else lender.encoder

    def shared_stream(self, node: Node, path: str, before: Mapping[str, StreamSpec | None]) -> StreamSpec | None:
        """A stream given by the name of another stream: it uses the same modules with the same weights."""
        other = before.get(str(node.value))
        if str(node.value) not in before or (other is not None and other.same_as):
            own = [name for name, stream in before.items() if stream is None or not stream.same_as]
            near = did_you_mean(str(node.value), own) or f"a text here names one of {', '.join(own) or 'none'}"
            self.problems.add(path, f"there is no stream '{node.value}' above with modules of its own; {near}", node)
        return None if other is None else other._replace(same_as=str(node.value))

    def embedding(self, node: Node, path: str, defaults: Mapping[str, Default]) -> EmbeddingSpec | None:
        children = node.mapping
        own = {k: v for k, v in children.items() if k != "modules"}
        inherited = {k: v for k, v in defaults.items() if k in EMBEDDING_OPTIONS}
        self.used.update(inherited)
        at = Node(own, node.origin, node.key_origin)
        made = Choices(EmbeddingOptions, path, path, at, inherited, self.problems, self.used).made(defaults)
        options = validate(EmbeddingOptions, path, own, node, self.problems, inherited, made)
        items = children["modules"].items if "modules" in children else []
        if not items:
            self.problems.add(path, "at least one embedding module is required", node, key=True)
        modules = [self.one("embedding", item, path, defaults) for item in items]
        if options is None or not modules or any(m is None for m in modules):
            return None
        return EmbeddingSpec(tuple(m for m in modules if m is not None), options)

    @staticmethod
    def vocab_size(options: ModelOptions, data: DataSpec | None) -> int:
        if options.vocab_size is not None:
            return options.vocab_size  # checked later against the tokenizer
        own = data.vocabulary.vocab_size if data and data.vocabulary else DEFAULT_VOCAB_SIZE
        return own + (data.extra_ids() if data else 0)

    @staticmethod
    def target_vocab_size(options: ModelOptions, data: DataSpec | None) -> int:
        if options.target_vocab_size is not None:
            return options.target_vocab_size
        if data and data.target_vocabulary:
            return data.target_vocabulary.vocab_size
        return _Resolver.vocab_size(options, data)

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
