"""The contents of a model diagram: text that describes its components and their modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tp_core.diagram.options import spoken
from tp_core.diagram.text import short
from tp_core.options.ports import WORD
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.context import context_of

if TYPE_CHECKING:
    from tp_core.cost.model_tree import Branch
    from tp_core.options.choice import Chosen
    from tp_core.options.context import BuildContext
    from tp_core.spec.schema import Spec
    from tp_core.spec.sections.embedding import EmbeddingSpec


@dataclass
class Card:
    """One module.

    Attributes:
        title: name of the module in the spec.
        facts: descriptions of its main options.
        count: number of weights, as text; empty if the component shows the same number.
        layers: True if the module is a stack of layers.
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
        cards: the modules of the component.
        count: number of weights, as text.
        note: text below the modules, such as a norm that follows them.
        shared: name of the stream whose component is used here, which is drawn as an outline; empty if the component
            has its own modules.
        reads: the streams that a target reads; empty if it reads the decoder's states or those of the only stream.
    """

    kind: str
    cards: list[Card] = field(default_factory=list)
    count: str = ""
    note: str = ""
    shared: str = ""
    reads: tuple[str, ...] = ()


@dataclass
class Side:
    """An input side of the model: its input tensors and its components.

    Attributes:
        name: name of the stream; empty for the only stream.
        inputs: names of the input tensors.
        embedding: the embedding component.
        encoder: the encoder; None for the decoder side.
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
    """The contents of the diagram of a model.

    Args:
        spec: the spec.
        tree: the tree of the spec's model, from :func:`tp_core.cost.model_tree.model_tree`.
    """
    model, target_context = spec.model, context_of(spec, side="target")
    sides = []
    for name, stream in model.streams.items():
        path = ("streams", key_of(name)) if name else ()
        context = context_of(spec, name)
        owner = stream.same_as or stream.encoder_of
        embedding = _embedding("embedding", stream.embedding, context, tree, (*path, "embedding"))
        encoder = _single("encoder", stream.encoder, context, tree, (*path, "encoder"))
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
        found.fusion = _single("encoder", model.fusion, target_context, tree, ("fusion",))
    if model.target_embedding is not None:
        component = _embedding("target embedding", model.target_embedding, target_context, tree, ("target_embedding",))
        found.decoder_side = Side("", _inputs(model.target_embedding, target_context), component)
    if model.decoder is not None:
        found.decoder = _single("decoder", model.decoder, target_context, tree, ("decoder",))
    return found


def _subtitle(spec: Spec, tree: Branch) -> str:
    parts = [f"{tree.parameters:,} parameters"]
    chosen = [m for stream in spec.model.streams.values() for m in stream.embedding.modules]
    chosen += spec.model.target_embedding.modules if spec.model.target_embedding else ()
    if any(WORD in module.config.provides(context_of(spec)) for module in chosen):
        sizes = dict.fromkeys((spec.model.vocab_size, spec.model.target_vocab_size))
        parts.append(f"vocabulary of {' and '.join(f'{size:,}' for size in sizes)}")
    return " · ".join(parts)


def _inputs(embedding: EmbeddingSpec, context: BuildContext) -> list[str]:
    ports = [port for module in embedding.modules for port in module.config.requires(context)]
    return list(dict.fromkeys(port.name for port in ports if port.kind == "input"))


def _embedding(
    kind: str, embedding: EmbeddingSpec, context: BuildContext, tree: Branch, path: tuple[str, ...]
) -> Component:
    keys = {chosen.path: key_of(embedding.key(chosen)) for chosen in embedding.modules}
    cards = [_card(chosen, context, tree, (*path, "parts", keys[chosen.path])) for chosen in embedding.modules]
    count = _count(tree.find(*path))
    if len(cards) == 1 and cards[0].count == count:
        cards[0].count = ""
    options = embedding.options
    after: list[str] = [] if options.norm.name == "none" else [options.norm.name]
    after += [f"dropout {options.dropout:g}"] if options.dropout else []
    return Component(kind, cards, count, f"then {', '.join(after)}" if after else "")


def _single(kind: str, chosen: Chosen[Any], context: BuildContext, tree: Branch, path: tuple[str, ...]) -> Component:
    card = _card(chosen, context, tree, path)
    count, card.count = card.count, ""
    return Component(kind, [card], count)


def _targets(spec: Spec, tree: Branch) -> Iterator[Component]:
    names = tuple(name for name in spec.model.streams if name)
    for chosen in spec.model.targets:
        config = chosen.config
        context = context_of(spec, config.stream or "", side="target")
        component = _single("target", chosen, context, tree, ("targets", key_of(chosen.instance_name)))
        if config.stream is not None:
            component.reads = (config.stream,)
        elif config.reads_streams:
            component.reads = names
        yield component


def _card(chosen: Chosen[Any], context: BuildContext, tree: Branch, path: tuple[str, ...]) -> Card:
    branch, own = tree.find(*path), _place(".".join(path))
    lenders = dict.fromkeys(_place(lender) for lender in _lenders(branch)) if branch else {}
    facts = [*spoken(chosen.config, context), *(f"weights of {place}" for place in lenders if place != own)]
    layers = getattr(chosen.config, "num_layers", 1)
    return Card(chosen.display_name, facts, _count(branch), isinstance(layers, int) and layers > 1)


def _lenders(branch: Branch) -> Iterator[str]:
    """Paths of the weights and modules that a module uses but another module owns."""
    yield from filter(None, [branch.shared, *branch.tied.values()])
    for child in branch.children:
        yield from _lenders(child)


def _place(path: str) -> str:
    """A description of the module at a path in the model."""
    names = [part for part in path.split(".") if part not in ("streams", "parts")]
    for number, name in enumerate(names):
        if name in ("embedding", "target_embedding", "targets"):
            component = "target" if name == "targets" else name.replace("_", " ")
            return " ".join([*names[:number], component, *names[number + 1 : number + 2]])
        if name in ("encoder", "decoder", "fusion"):
            return " ".join(names[: number + 1])
    return path


def _count(branch: Branch | None) -> str:
    return short(branch.parameters) if branch and branch.parameters else ""
