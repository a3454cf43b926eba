"""Streams of a model: those that targets read, that the processor feeds, and how they are pooled."""

from __future__ import annotations

from typing import Any

from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.ports import CAUSAL
from tp_core.spec.choices.module_nodes import node_of
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.context import context_of
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.tree.nodes import Node
from tp_core.suggest import did_you_mean


def check_target_streams(spec: Spec, root: Node, problems: Problems) -> None:
    names = [name for name in spec.model.streams if name]
    for chosen in spec.model.targets:
        stream = chosen.config.stream
        if stream is not None and stream not in names:
            near = did_you_mean(stream, names) or f"the streams are {', '.join(names) or 'none'}"
            node = node_of(root, chosen, "stream")
            problems.add(f"{chosen.path}.stream", f"the model has no stream '{stream}'; {near}", node)


def check_pooling(spec: Spec, root: Node, problems: Problems) -> None:
    """Report targets that pool the first position of a causal model, which sees nothing but itself."""
    for chosen in spec.model.targets:
        for stream, how in chosen.config.pools(context_of(spec, chosen.config.stream or "", side="target")).items():
            encoder = spec.model.streams[stream].encoder
            last = encoder if stream else spec.model.decoder or encoder
            if how != "first" or spec.model.fusion is not None or not is_causal(last, context_of(spec, stream)):
                continue
            message = f"is first, and '{last.name}' is causal: its first position sees nothing else; set it to last"
            if hasattr(chosen.config, "pooling"):
                problems.add(f"{chosen.path}.pooling", message, node_of(root, chosen, "pooling"))
            else:
                place = ("model", "streams", stream, "pooling") if stream else ("model", "pooling")
                problems.add(".".join(place), message, root.find(place))


def is_causal(chosen: Chosen[Any], context: BuildContext) -> bool:
    """True if no position of a module's states sees later ones, not even in a prefix."""
    prefix = getattr(chosen.config, "mask", None) == "causal_with_prefix"
    return CAUSAL in fields(chosen.config, "provides", context) and not prefix


def check_streams(spec: Spec, root: Node, problems: Problems) -> None:
    """Check that the processor feeds the model's streams and decoder's side."""
    processor = spec.data.processor
    if processor is None:
        return
    streams = [name for name in spec.model.streams if name]
    node = node_of(root, processor)
    provided = fields(processor.config, "provides", context_of(spec))
    if spec.model.decoder is None and any(port.kind == "target_input" for port in provided):
        message = "makes a decoder's side, and the model has no decoder; add target_embedding and decoder"
        problems.add(processor.path, message, node, key=True)
    if processor.config.feeds_streams and not streams:
        problems.add(processor.path, "feeds streams, and the model has none; give it model.streams", node, key=True)
    elif len(streams) > 1 and not processor.config.feeds_streams:
        message = f"feeds one stream, but the model has {', '.join(streams)}; use a processor that feeds named streams"
        problems.add(processor.path, message, node, key=True)
