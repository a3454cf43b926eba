"""What a drawing of a model says: its components and the modules in them, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tp_core.diagram.options import spoken
from tp_core.diagram.text import short
from tp_core.spec.checks import context_of
from tp_core.spec.schema_common import key_of

if TYPE_CHECKING:
    from tp_core.config import BuildContext
    from tp_core.model_tree import Branch
    from tp_core.spec.schema import EmbeddingSpec, Spec
    from tp_core.spec.schema_common import Chosen


@dataclass
class Card:
    """One module.

    Attributes:
        title: its name in the spec.
        facts: its main options, in words.
        count: number of weights, as text; empty where the component's says the same.
        layers: whether it is a stack of layers.
    """

    title: str
    facts: list[str] = field(default_factory=list)
    count: str = ""
    layers: bool = False


@dataclass
class Component:
    """One of the five components, for one stream.

    Attributes:
        kind: ``embedding``, ``encoder``, ``target embedding``, ``decoder`` or ``target``.
        count: number of weights, as text.
        note: what follows its modules.
        shared: the stream whose component this is, drawn in outline; empty for one with modules of its own.
        reads: of a target, the streams that it reads; empty for the decoder's states, or those of the only stream.
    """

    kind: str
    cards: list[Card] = field(default_factory=list)
    count: str = ""
    note: str = ""
    shared: str = ""
    reads: tuple[str, ...] = ()


@dataclass
class Side:
    """An input side of the model: what comes in, and the components on its way.

    Attributes:
        name: the stream's name; empty for the only one.
        inputs: names of the tensors that come in.
        encoder: None for the decoder's side.
    """

    name: str
    inputs: list[str]
    embedding: Component
    encoder: Component | None = None


@dataclass
class Contents:
    """A whole model."""

    title: str
    subtitle: str
    sides: list[Side]
    targets: list[Component]
    fusion: Component | None = None
    decoder_side: Side | None = None
    decoder: Component | None = None


def contents(spec: Spec, tree: Branch) -> Contents:
    """What to draw of a model.

    Args:
        tree: of the spec's model, from :func:`tp_core.model_tree.model_tree`.
    """
    model, behind = spec.model, context_of(spec, side="target")
    sides = []
    for name, stream in model.streams.items():
        path = ("streams", key_of(name)) if name else ()
        context = context_of(spec, name)
        owner = stream.same_as or stream.encoder_of
        embedding = _embedding("embedding", stream.embedding, context, tree.find(*path, "embedding"))
        encoder = _single("encoder", stream.encoder, context, tree.find(*path, "encoder"))
        sides.append(
            Side(
                name,
                _inputs(stream.embedding, context),
                Component("embedding", shared=owner) if stream.same_as else embedding,
                Component("encoder", shared=owner) if owner else encoder,
            )
        )
    found = Contents(spec.name, _subtitle(spec, tree), sides, list(_targets(spec, tree)))
    if model.fusion is not None:
        found.fusion = _single("encoder", model.fusion, behind, tree.find("fusion"))
    if model.target_embedding is not None:
        component = _embedding("target embedding", model.target_embedding, behind, tree.find("target_embedding"))
        found.decoder_side = Side("", _inputs(model.target_embedding, behind), component)
    if model.decoder is not None:
        found.decoder = _single("decoder", model.decoder, behind, tree.find("decoder"))
    return found


def _subtitle(spec: Spec, tree: Branch) -> str:
    parts = [f"{tree.parameters:,} parameters"]
    chosen = [m for stream in spec.model.streams.values() for m in stream.embedding.modules]
    chosen += spec.model.target_embedding.modules if spec.model.target_embedding else ()
    if any(name.startswith("weight:word") for m in chosen for name in m.config.provides(context_of(spec))):
        sizes = dict.fromkeys((spec.model.vocab_size, spec.model.target_vocab_size))
        parts.append(f"vocabulary of {' and '.join(f'{size:,}' for size in sizes)}")
    return " · ".join(parts)


def _inputs(embedding: EmbeddingSpec, context: BuildContext) -> list[str]:
    fields = [name for module in embedding.modules for name in module.config.requires(context) if ":" not in name]
    return list(dict.fromkeys(fields))


def _embedding(kind: str, embedding: EmbeddingSpec, context: BuildContext, tree: Branch | None) -> Component:
    parts = tree.find("parts") if tree else None
    cards = []
    for chosen in embedding.modules:
        branch = parts.find(key_of(chosen.name)) if parts else None
        cards.append(_card(chosen, context, branch, _count(branch)))
    options = embedding.options
    after = [] if options.norm == "none" else [options.norm]
    after += [f"dropout {options.dropout:g}"] if options.dropout else []
    return Component(kind, cards, _count(tree), f"then {', '.join(after)}" if after else "")


def _single(kind: str, chosen: Chosen[Any], context: BuildContext, branch: Branch | None) -> Component:
    return Component(kind, [_card(chosen, context, branch)], _count(branch))


def _targets(spec: Spec, tree: Branch) -> Iterator[Component]:
    names = tuple(name for name in spec.model.streams if name)
    for chosen in spec.model.targets:
        config = chosen.config
        component = _single(
            "target",
            chosen,
            context_of(spec, config.stream or "", side="target"),
            tree.find("targets", key_of(chosen.name)),
        )
        if config.stream is not None:
            component.reads = (config.stream,)
        elif config.reads_streams:
            component.reads = names
        yield component


def _card(chosen: Chosen[Any], context: BuildContext, branch: Branch | None, count: str = "") -> Card:
    facts = spoken(chosen.config, context)
    facts += [f"weights of {place}" for place in dict.fromkeys(_lenders(branch))] if branch else []
    layers = getattr(chosen.config, "num_layers", 1)
    return Card(chosen.name, facts, count, isinstance(layers, int) and layers > 1)


def _lenders(branch: Branch) -> Iterator[str]:
    """The places whose weights a module uses, in words."""
    for path in filter(None, [branch.shared, *branch.tied.values()]):
        yield _place(path)
    for child in branch.children:
        yield from _lenders(child)


def _place(path: str) -> str:
    names = [part for part in path.split(".") if part not in ("streams", "parts")]
    for number, name in enumerate(names):
        if name in ("embedding", "target_embedding", "targets"):
            return " ".join(names[: number + 2]).replace("_", " ").replace("targets", "target")
        if name in ("encoder", "decoder", "fusion"):
            return " ".join(names[: number + 1])
    return path


def _count(branch: Branch | None) -> str:
    return short(branch.parameters) if branch and branch.parameters else ""
