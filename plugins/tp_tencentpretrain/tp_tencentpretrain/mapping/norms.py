"""The original's norms."""

from __future__ import annotations

from typing import Any

from tp_core.interop.rules import Same, WeightRule
from tp_tencentpretrain.original.config import OriginalConfig

#: The epsilon of norms whose epsilon the original's options do not change.
EPS = 1e-6


class Norm:
    """A norm of the original.

    Attributes:
        tree: the norm in a spec.
        root: True for a root mean square norm, whose only weight is named ``weight``.
    """

    def __init__(self, kind: str, eps: float) -> None:
        self.root = kind in ("t5", "rms")
        self.tree: dict[str, Any] = {"rmsnorm" if self.root else "unbiased_layernorm": {"eps": eps}}

    def rules(self, theirs: str, ours: str) -> list[WeightRule]:
        if self.root:
            return [Same(f"{theirs}.weight", f"{ours}.weight")]
        return [Same(f"{theirs}.gamma", f"{ours}.weight"), Same(f"{theirs}.beta", f"{ours}.bias")]


def plain_norm() -> Norm:
    """The norm after embeddings and inside of targets."""
    return Norm("normal", EPS)


def layer_norm(config: OriginalConfig) -> Norm:
    """The norm of transformer layers."""
    return Norm(config.one_of("layernorm", "normal", "t5", "rms"), float(config["layernorm_eps"]))


def decoder_norm(config: OriginalConfig) -> Norm:
    """The norm after the last layer of a decoder: the options that choose the other norms do not reach it."""
    return Norm("t5" if config["layernorm"] == "t5" else "normal", EPS)
