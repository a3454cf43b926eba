"""Embedding components: their order, widths, and the lengths that they can represent."""

from __future__ import annotations

from tp_core.options.context import BuildContext
from tp_core.spec.choices.module_nodes import node_of
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embedding import EmbeddingSpec
from tp_core.spec.tree.nodes import Node


def check_embedding(
    spec: Spec, component: EmbeddingSpec, context: BuildContext, root: Node, problems: Problems
) -> None:
    first = component.modules[0]
    places = first.config.places()
    if not first.config.makes_sequence:
        message = f"'{first.name}' adds to a sequence and cannot stand first; list an embedding such as word before it"
        problems.add(first.path, message, node_of(root, first), key=True)
    for chosen in component.modules:
        size = chosen.config.embedding_size
        if size is not None and size != context.embedding_size:
            message = f"is {size}, but the embeddings summed with it are {context.embedding_size} wide"
            problems.add(f"{chosen.path}.embedding_size", message, node_of(root, chosen, "embedding_size"))
        limit = chosen.config.length_limit()
        if chosen is not first and limit is not None and places is not None and limit < places:
            message = f"has {limit} positions, and the sequences of '{first.name}' reach to {places}"
            problems.add(chosen.path, message, node_of(root, chosen))
    processor = spec.data.processor
    if processor is None:
        return
    length, option = processor.config.sequence_length(), processor.config.length_option
    bounded = component is spec.model.target_embedding or getattr(processor.config, option, 0) is not None
    if component is spec.model.target_embedding:
        length, option = processor.config.target_sequence_length(), processor.config.target_length_option
    elif length is not None:
        length = first.config.positions(length)
    # Among modules with a fixed number of positions, only the first reads the processor's sequences.
    for chosen in component.modules[: None if places is None else 1]:
        limit = chosen.config.length_limit()
        if limit is None:
            continue
        message = f"sequences of {length} are longer than the {limit} positions of {chosen.path}"
        if length is None:
            message = f"is required: the model has the {limit} positions of {chosen.path}"
        if (length is None and not bounded) or (length is not None and length > limit):
            problems.add(f"{processor.path}.{option}", message, node_of(root, processor, option))
