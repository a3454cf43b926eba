"""Modules of research code, named by specs of this folder; none is ever built."""

from __future__ import annotations

from tp_core import BuildContext, DecoderConfig, EmbeddingConfig, FieldSpec, TargetConfig
from tp_core.options.ports import CAUSAL, Port


class FramesConfig(EmbeddingConfig):
    """An embedding without words: it has no weights to tie to."""


class ForgetfulDecoderConfig(DecoderConfig):
    """A decoder that needs a target embedding."""

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {CAUSAL: FieldSpec()}


class QuantizedConfig(TargetConfig):
    """A target that reads a side value."""

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.published("latents"): FieldSpec()}


def helper() -> None:
    """No config class at all."""
