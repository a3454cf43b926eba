"""Builds the modules of a spec that read data."""

from __future__ import annotations

from typing import Any

from tp_core.interfaces import Processor, Tokenizer
from tp_core.options.choice import Chosen
from tp_core.packages.plugin_errors import built_by
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec


def build_tokenizer(spec: Spec) -> Tokenizer | None:
    """The spec's tokenizer, or None."""
    return _tokenizer(spec.data.tokenizer, spec)


def build_target_tokenizer(spec: Spec) -> Tokenizer | None:
    """The separate tokenizer of the decoder's side, or None."""
    return _tokenizer(spec.data.target_tokenizer, spec)


def _tokenizer(chosen: Chosen[Any] | None, spec: Spec) -> Tokenizer | None:
    # An abstract class is a type to isinstance() alone.
    return None if chosen is None else built_by(chosen.config, Tokenizer, data_context(spec))  # type: ignore[type-abstract]


def tokenizers_of(spec: Spec) -> dict[str, Tokenizer]:
    """The spec's tokenizers by key of ``data``: ``tokenizer``, ``target_tokenizer``."""
    built = {"tokenizer": build_tokenizer(spec), "target_tokenizer": build_target_tokenizer(spec)}
    return {key: each for key, each in built.items() if each is not None}


def build_processor(spec: Spec, tokenizer: Tokenizer | None, data_set: str = "") -> Processor | None:
    """The processor of the spec or of one of its data sets, or None."""
    own = spec.of_set(data_set)
    if own.data.processor is None:
        return None
    context = data_context(own, build_target_tokenizer(spec))
    return built_by(own.data.processor.config, Processor, context, tokenizer)  # type: ignore[type-abstract]
