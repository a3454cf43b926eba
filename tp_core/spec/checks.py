"""Whether the chosen modules fit each other, proved from what they declare, before anything is built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.config import BuildContext, DataContext, FieldSpec
from tp_core.errors import TPError
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.files import expand, missing, unusable
from tp_core.spec.nodes import Node
from tp_core.spec.schema import Chosen, EmbeddingSpec, Spec
from tp_core.suggest import near_file
from tp_core.tokenizer import TokenizerFacts


def context_of(spec: Spec, stream: str = "", side: str = "source") -> BuildContext:
    """What modules of a stream may know of the model around them.

    Args:
        side: ``source`` for the embedding and encoder, ``target`` for what stands behind: the target embedding, the
            decoder and the targets.
    """
    model = spec.model
    first = model.streams[stream] if stream in model.streams else next(iter(model.streams.values()))
    encoder = first.encoder.config
    decoder = model.decoder.config if model.decoder is not None else None
    behind = side == "target" and decoder is not None
    component = model.target_embedding if behind and model.target_embedding is not None else first.embedding
    hidden = decoder.hidden_size if behind and decoder is not None else encoder.hidden_size
    own = [m.config.embedding_size for m in component.modules if m.config.embedding_size is not None]
    size = own[0] if own else model.options.embedding_size or hidden
    limits = [limit for m in component.modules if (limit := m.config.length_limit()) is not None]
    return BuildContext(
        embedding_size=size,
        hidden_size=hidden,
        vocab_size=model.vocab_size,
        length_limit=min(limits) if limits else None,
        pooling=model.options.pooling,
    )


def data_context(spec: Spec) -> DataContext:
    """What tokenizers and processors may know of the model they feed."""
    limits = [limit for name in spec.model.streams if (limit := context_of(spec, name).length_limit) is not None]
    return DataContext(
        base=str(spec.base),
        length_limit=min(limits) if limits else None,
        target_options={t.name: t.config.model_dump() for t in spec.model.targets},
        seed=spec.train.options.seed,
    )


def node_of(root: Node, chosen: Chosen[Any], option: str = "") -> Node:
    """The node of a chosen module, or of one of its options, in the merged tree."""
    parts: list[Any] = chosen.path.split(".")
    name, parts = parts[-1], parts[:-1]
    node = root.find(tuple(parts))
    node = node.mapping.get("modules", node)
    for item in node.items:
        if name in item.mapping:
            node = item
    found = node.find((chosen.name, option) if option else (chosen.name,))
    default = root.find(("model",)).mapping.get(option)
    if option and default is not None and option not in node.find((chosen.name,)).mapping:
        return default
    return found


def read_vocabulary(tokenizer: Chosen[Any], root: Node, problems: Problems) -> TokenizerFacts | None:
    """What is to be known of the tokenizer's vocabulary, or None with a problem added."""
    before = len(problems)
    for option, path in tokenizer.config.files().items():
        if not os.path.exists(path):
            problems.add(f"{tokenizer.path}.{option}", missing(path), node_of(root, tokenizer, option))
    if len(problems) > before:
        return None
    try:
        facts: TokenizerFacts = tokenizer.config.facts(DataContext())
        return facts
    except TPError as error:
        problems.add(tokenizer.path, str(error), node_of(root, tokenizer), key=True)
        return None


def check_model(spec: Spec, problems: Problems) -> None:
    """Add what is wrong between modules: options, widths, what is required and what is provided."""
    root = spec.tree
    _check_modules(spec, root, problems)
    for name, stream in spec.model.streams.items():
        _check_embedding(spec, stream.embedding, context_of(spec, name), root, problems)
    if spec.model.target_embedding is not None:
        _check_embedding(spec, spec.model.target_embedding, context_of(spec, side="target"), root, problems)
    _check_fit(spec, root, problems)
    _check_tokenizer(spec, root, problems)


def _with_context(spec: Spec) -> Iterator[tuple[Chosen[Any], BuildContext]]:
    for name, stream in spec.model.streams.items():
        inside: list[Chosen[Any]] = [*stream.embedding.modules, stream.encoder]
        for chosen in inside:
            yield chosen, context_of(spec, name)
    behind = context_of(spec, side="target")
    for chosen in spec.model.target_embedding.modules if spec.model.target_embedding else ():
        yield chosen, behind
    if spec.model.decoder is not None:
        yield spec.model.decoder, behind
    for chosen in spec.model.targets:
        yield chosen, behind
    for chosen in spec.data.chosen():
        yield chosen, behind


def _check_modules(spec: Spec, root: Node, problems: Problems) -> None:
    for chosen, context in _with_context(spec):
        for problem in chosen.config.check(context):
            path = f"{chosen.path}.{problem.option}" if problem.option else chosen.path
            problems.add(path, problem.message, node_of(root, chosen, problem.option))
        if chosen is spec.data.processor:
            for problem in chosen.config.check_targets(data_context(spec)):
                node = node_of(root, chosen, problem.option)
                problems.add(f"{chosen.path}.{problem.option}".removesuffix("."), problem.message, node)
        if chosen is not spec.data.tokenizer:
            for option, path in chosen.config.files().items():
                if not os.path.exists(path):
                    node = node_of(root, chosen, option)
                    problems.add(f"{chosen.path}.{option}", missing(path), node)


def _check_embedding(
    spec: Spec, component: EmbeddingSpec, context: BuildContext, root: Node, problems: Problems
) -> None:
    first = component.modules[0]
    if not first.config.makes_sequence:
        message = f"'{first.name}' adds to a sequence and cannot stand first; list an embedding such as word before it"
        problems.add(first.path, message, node_of(root, first), key=True)
    for chosen in component.modules:
        size = chosen.config.embedding_size
        if size is not None and size != context.embedding_size:
            message = f"is {size}, but the embeddings summed with it are {context.embedding_size} wide"
            problems.add(f"{chosen.path}.embedding_size", message, node_of(root, chosen, "embedding_size"))
    processor = spec.data.processor
    length = processor.config.sequence_length() if processor is not None else None
    for chosen in component.modules if length is not None else ():
        limit = chosen.config.length_limit()
        if processor is not None and limit is not None and length is not None and length > limit:
            message = f"sequences of {length} are longer than the {limit} positions of {chosen.path}"
            problems.add(f"{processor.path}.max_length", message, node_of(root, processor, "max_length"))


def provided(spec: Spec) -> dict[str, FieldSpec]:
    """Everything that the model's own modules make available to each other."""
    names: dict[str, FieldSpec] = {}
    for chosen, context in _with_context(spec):
        if chosen.kind not in ("processor", "tokenizer"):
            names |= chosen.config.provides(context)
    return names


def _check_fit(spec: Spec, root: Node, problems: Problems) -> None:
    inside = provided(spec)
    processor = spec.data.processor
    outside: dict[str, FieldSpec] = {}
    if processor is not None:
        outside = processor.config.provides(context_of(spec))
    for chosen, context in _with_context(spec):
        for name in chosen.config.requires(context):
            kind, _, what = name.rpartition(":")
            if name in inside or name in outside:
                continue
            node = node_of(root, chosen)
            if kind == "weight":
                message = f"needs the weights of a '{what}' embedding to tie to, and the model has none; add '{what}'"
                problems.add(chosen.path, message, node, key=True)
            elif kind == "states":
                hint = "an encoder with mask: causal, or a decoder" if what == "causal" else "another encoder"
                message = f"needs {what} states, which {_before(spec)} does not give; use {hint}"
                problems.add(chosen.path, message, node, key=True)
            elif kind == "side":
                message = f"needs the side value '{what}', which no module of the model provides"
                problems.add(chosen.path, message, node, key=True)
            elif processor is not None:
                thing = f"the labels '{what}'" if kind == "labels" else f"the batch field '{name}'"
                gives = sorted(n.removeprefix("labels:") for n in outside if n.startswith("labels:") == bool(kind))
                only = f"{', '.join(gives)} only" if gives else "none"
                message = f"needs {thing}; {processor.path} provides {only}" + _providers(name, context)
                problems.add(chosen.path, message, node, key=True)


def _providers(name: str, context: BuildContext) -> str:
    """A hint at the installed processors that provide a label or batch field when no option says otherwise."""
    found = []
    for entry in discovery.index().entries("processor"):
        try:
            config = discovery.load(entry)()
            if name in config.provides(context):
                found.append(f"'{entry.name}'")
        except Exception:  # one that is broken, or needs options, is no hint
            continue
    what = name.removeprefix("labels:")
    return f" (by default, '{what}' comes from the processor {' or '.join(found)})" if found else ""


def _before(spec: Spec) -> str:
    if spec.model.decoder is not None:
        return spec.model.decoder.path
    return next(iter(spec.model.streams.values())).encoder.path


def _check_tokenizer(spec: Spec, root: Node, problems: Problems) -> None:
    tokenizer, processor, facts = spec.data.tokenizer, spec.data.processor, spec.data.vocabulary
    if tokenizer is None or facts is None or problems:
        return
    if facts.vocab_size > spec.model.vocab_size:
        message = f"is {spec.model.vocab_size}, less than the {facts.vocab_size} ids of {tokenizer.path}"
        problems.add("model.vocab_size", message, root.find(("model", "vocab_size")))
    if processor is None:
        return
    for problem in processor.config.check_tokenizer(facts):
        if problem.option:
            path, node = f"{processor.path}.{problem.option}", node_of(root, processor, problem.option)
            problems.add(path, problem.message, node)
        else:
            problems.add(tokenizer.path, problem.message, node_of(root, tokenizer), key=True)


def check_data(spec: Spec) -> None:
    """What preparing data needs beyond a well-formed spec.

    Raises:
        SpecError: with every problem.
    """
    problems = Problems()
    _check_data(spec, problems)
    if problems:
        raise SpecError(problems)


def _check_data(spec: Spec, problems: Problems) -> None:
    root, processor = spec.tree, spec.data.processor
    data = root.find(("data",))
    if spec.data.options.train is None:
        problems.add("data.train", "is required: the files to train on", data, key=True)
    if processor is None:
        message = f"is required: what turns records into samples; installed: {_installed('processor')}"
        problems.add("data.processor", message, data, key=True)
    elif processor.config.needs_tokenizer and spec.data.tokenizer is None:
        message = f"is required by {processor.path}; installed: {_installed('tokenizer')}"
        problems.add("data.tokenizer", message, data, key=True)
    for key in ("train", "eval"):
        paths = getattr(spec.data.options, key) or []
        for number, path in enumerate([paths] if isinstance(paths, str) else paths):
            for file in expand(path):
                message = unusable(file)
                if message:
                    problems.add(f"data.{key}", message, root.find(("data", key, number)))


def check_run(spec: Spec) -> None:
    """What training needs beyond a well-formed spec: targets, data that exists and is not empty, a length.

    Raises:
        SpecError: with every problem.
    """
    problems, root = Problems(), spec.tree
    if not spec.model.targets:
        message = f"training needs at least one target; installed: {_installed('target')}"
        problems.add("model.target", message, root.find(("model",)), key=True)
    _check_data(spec, problems)
    if spec.train.options.steps is None and spec.train.options.epochs is None:
        problems.add("train.steps", "give train.steps or train.epochs", root.find(("train",)), key=True)
    if spec.train.options.early_stopping is not None and spec.data.options.eval is None:
        problems.add("train.early_stopping", "needs data.eval", root.find(("train", "early_stopping")), key=True)
    if spec.init_from is not None and not os.path.exists(spec.init_from):
        near = near_file(Path(spec.init_from))
        message = f"there is no model at {spec.init_from}" + (f"; did you mean '{near}'?" if near else "")
        problems.add("init_from", message, root.find(("init_from",)))
    if problems:
        raise SpecError(problems)


def _installed(kind: str) -> str:
    return ", ".join(discovery.index().names(kind)) or "none"


__all__ = [
    "SpecError",
    "check_data",
    "check_model",
    "check_run",
    "context_of",
    "data_context",
    "expand",
    "node_of",
    "provided",
    "read_vocabulary",
]
