"""The ``model:`` part of a spec: components, streams, and the modules of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp_core import discovery
from tp_core.options.choice import Chosen, within
from tp_core.options.facts import Pooling
from tp_core.spec.choices.choose import Choices, suggest_key
from tp_core.spec.choices.part_names import fault_of
from tp_core.spec.choices.validate import Default, validate
from tp_core.spec.errors import Problems
from tp_core.spec.hints.key_hints import hint
from tp_core.spec.load_data import DataResolver
from tp_core.spec.schema import (
    DEFAULT_VOCAB_SIZE,
    ModelOptions,
    ModelSpec,
    StreamSpec,
)
from tp_core.spec.sections.data import DataSpec
from tp_core.spec.sections.embedding import EmbeddingOptions, EmbeddingSpec
from tp_core.spec.sections.keys import MODEL
from tp_core.spec.tree.canonical import EMBEDDING_OPTIONS
from tp_core.spec.tree.nodes import COMMAND_LINE, Node, Origin, describe
from tp_core.suggest import did_you_mean

_NOWHERE = Node({}, Origin("default"))

_NO_STREAMS: Mapping[str, StreamSpec | None] = {}


class ModelResolver(DataResolver):
    """Walks the ``model:`` part of a merged tree."""

    def __init__(self, root: Node, problems: Problems) -> None:
        super().__init__(root, problems)
        self.defaults: dict[str, Default] = {}

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
            elif key not in own:
                self.check_taken(f"model.{key}", children[key])
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

    def check_taken(self, path: str, node: Node) -> None:
        """Add a problem about a default that changes nothing, since modules have another value from a parent spec."""
        if path not in self.used.set_elsewhere.keys() - self.used.taken:
            return
        where, other = self.used.set_elsewhere[path]
        if self._age(node) < self._age(other):
            message = f"changes nothing: {where} is {describe(other.value)} ({other.origin.place()}); set that option"
            self.problems.add(path, message, node, key=True)

    def _age(self, node: Node) -> int:
        """0 for a value of the command line, 1 for one of the spec itself, 2 for an inherited one."""
        source = node.origin.source
        return 0 if source == COMMAND_LINE else 1 if source == self.root.origin.source else 2

    def check_names(self, node: Node, targets: list[Chosen[Any] | None]) -> None:
        """Add problems about own names of targets that are not allowed, or that two targets have by default."""
        first: dict[str, str] = {}
        for target, item in zip(targets, node.items):
            if target is None:
                continue
            own = target.instance_name
            if own != target.name and (fault := fault_of(own)):
                self.problems.add(f"model.target.{target.name}.name", fault, item.find((target.written, "name")))
            other = first.setdefault(own, target.name)
            if other != target.name:
                message = (
                    f"'{other}' and '{target.name}' have the name '{own}'; give one of them another name (name: ...)"
                )
                self.problems.add("model.target", message, item, key=True)

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
                elif key not in own_keys:
                    self.check_taken(f"{path}.{key}", children[key])
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
        self.used.add_all(inherited, path, own)
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
        return ModelResolver.vocab_size(options, data)
