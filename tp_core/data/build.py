"""Builds the modules of a spec that read data."""

from __future__ import annotations

from tp_core.interfaces import Processor, Tokenizer
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec


def build_tokenizer(spec: Spec) -> Tokenizer | None:
    """The spec's tokenizer, or None."""
    return None if spec.data.tokenizer is None else spec.data.tokenizer.config.build(data_context(spec))


def build_target_tokenizer(spec: Spec) -> Tokenizer | None:
    """The separate tokenizer of the decoder's side, or None."""
    chosen = spec.data.target_tokenizer
    return None if chosen is None else chosen.config.build(data_context(spec))


def tokenizers_of(spec: Spec) -> dict[str, Tokenizer]:
    """The spec's tokenizers by key of ``data``: ``tokenizer``, ``target_tokenizer``."""
    built = {"tokenizer": build_tokenizer(spec), "target_tokenizer": build_target_tokenizer(spec)}
    return {key: each for key, each in built.items() if each is not None}


def build_processor(spec: Spec, tokenizer: Tokenizer | None, data_set: str = "") -> Processor | None:
    """The processor of the spec or of one of its data sets, or None."""
    own = spec.of_set(data_set)
    if own.data.processor is None:
        return None
    built: Processor = own.data.processor.config.build(data_context(own, build_target_tokenizer(spec)), tokenizer)
    return built
