"""The facts about the model that modules of a spec may use. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from tp_core.interfaces.tokenizer import Tokenizer
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext, DataContext, TargetFacts
from tp_core.options.facts import StreamFacts, published_by
from tp_core.options.target import TargetConfig
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import DataSpec


def context_of(spec: Spec, stream: str = "", side: str = "source") -> BuildContext:
    """The facts about the model that modules of a stream may use.

    Args:
        side: ``source`` for the embedding and encoder; ``target`` for the modules after the encoder: the target
            embedding, the decoder and the targets.
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
        vocab_size=model.target_vocab_size if behind else model.vocab_size,
        length_limit=min(limits) if limits else None,
        pooling=first.pooling if stream else model.options.pooling,
        memory_size=encoder.hidden_size,
        streams={n: StreamFacts(s.encoder.config.hidden_size, s.pooling) for n, s in model.streams.items() if n},
        labels=spec.data.options.labels,
        facts=published_by(m.config for m in component.modules),
    )


def data_context(spec: Spec, target_tokenizer: Tokenizer | None = None) -> DataContext:
    """The facts about the model that tokenizers and processors may use."""
    limits = [limit for name in spec.model.streams if (limit := context_of(spec, name).length_limit) is not None]
    behind = context_of(spec, side="target").length_limit if spec.model.target_embedding is not None else None
    modules = [module for stream in spec.model.streams.values() for module in stream.embedding.modules]
    return DataContext(
        base=str(spec.base),
        length_limit=min(limits) if limits else None,
        targets={target.instance_name: _facts(spec, target) for target in spec.model.targets},
        seed=spec.train.options.seed,
        target_length_limit=behind,
        target_tokenizer=target_tokenizer,
        streams=tuple(name for name in spec.model.streams if name),
        facts=published_by(module.config for module in modules),
        labels=spec.data.options.labels,
    )


def with_model_limits(spec: Spec) -> Spec:
    """The spec with the model's limits in the processors' options of length that it does not give."""
    sets = {name: _limited(spec, name) for name in spec.data.sets}
    return replace(spec, data=replace(_limited(spec, ""), sets=sets))


def _limited(spec: Spec, data_set: str) -> DataSpec:
    own = spec.of_set(data_set) if data_set else spec
    data = spec.data.sets[data_set] if data_set else spec.data
    if data.processor is None:
        return data
    config = data.processor.config.for_model(data_context(own))
    return replace(data, processor=replace(data.processor, config=config))


def _facts(spec: Spec, target: Chosen[TargetConfig]) -> TargetFacts:
    required = fields(target.config, "requires", context_of(spec, target.config.stream or "", side="target"))
    labels = tuple(port.name for port in required if port.kind == "labels")
    return TargetFacts(target.name, published_by([target.config]), labels)
