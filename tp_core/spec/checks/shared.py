"""Checks of parts that two sides of a model share: encoders of streams, and word embeddings. Torch-free."""

from __future__ import annotations

import json

from tp_core.spec.choices.module_nodes import node_of
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.context import context_of
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.tree.nodes import Node


def check_shared_parts(spec: Spec, root: Node, problems: Problems) -> None:
    """Report shared parts whose sizes or options differ between the two sides."""
    _check_lent_encoders(spec, root, problems)
    if spec.model.options.share_embeddings:
        _check_shared_embeddings(spec, root, problems)


def _check_lent_encoders(spec: Spec, root: Node, problems: Problems) -> None:
    """Check that a stream that uses another stream's encoder makes embeddings of the same width."""
    for name, stream in spec.model.streams.items():
        if not stream.encoder_of:
            continue
        own, lender = (context_of(spec, each).embedding_size for each in (name, stream.encoder_of))
        if own != lender:
            message = f"reads embeddings that are {lender} wide, and those of this stream are {own}"
            path = f"model.streams.{name}.encoder_of"
            problems.add(path, f"the encoder of '{stream.encoder_of}' {message}", root.find(tuple(path.split("."))))


def _check_shared_embeddings(spec: Spec, root: Node, problems: Problems) -> None:
    """Check that the target embedding shares modules with the source embedding, with equal options on both sides."""
    model, path = spec.model, "model.share_embeddings"
    at = root.find(("model", "share_embeddings"))
    if model.target_embedding is None:
        problems.add(path, "the model has no target embedding; add it, or leave this out", at)
        return
    name, stream = next(iter(model.streams.items()))
    context, behind = context_of(spec, name), context_of(spec, side="target")
    own = {stream.embedding.key(each): each for each in stream.embedding.modules}
    pairs = [
        (own[key], each)
        for each in model.target_embedding.modules
        if (key := model.target_embedding.key(each)) in own
        and any(port.kind == "weight" for port in fields(own[key].config, "provides", context))
    ]
    if not pairs:
        message = "the target embedding has no module in common with the embedding that shares weights, such as 'word'"
        problems.add(path, message, at)
    elif model.vocab_size != model.target_vocab_size:
        message = f"the two sides have vocabularies of {model.vocab_size} and {model.target_vocab_size} ids"
        problems.add(path, message, at)
    elif context.embedding_size != behind.embedding_size:
        message = f"the two sides have embeddings that are {context.embedding_size} and {behind.embedding_size} wide"
        problems.add(path, message, at)
    for first, second in pairs:
        theirs, ours = (each.config.model_dump(mode="json", exclude={"embedding_size"}) for each in (first, second))
        for option in (each for each in ours if ours[each] != theirs.get(each, ours[each])):
            values = [json.dumps(each[option]) for each in (ours, theirs)]
            message = f"is {values[0]}, and model.share_embeddings uses {first.path}, where it is {values[1]}"
            problems.add(f"{second.path}.{option}", message, node_of(root, second, option))
