"""Options of attention. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.mixer import MixerConfig
from tp_core.options.norm import NormConfig
from tp_core.options.positions import PositionsConfig

AttentionMask = Literal["fully_visible", "causal", "causal_with_prefix"]


class AttentionConfig(MixerConfig):
    """Multi-head attention (Vaswani et al., 2017), optionally with grouped heads, windows, soft caps and norms."""

    implementation: ClassVar[str] = "tp_core.modules.mixers.attention:SelfAttention"
    passed_on: ClassVar[frozenset[str]] = frozenset({"init_std"})

    num_heads: ModelSize[int] = Field(12, gt=0, description="number of attention heads")
    num_key_value_heads: int | None = Field(
        None, gt=0, description="number of key-value heads, for grouped-query attention; default: num_heads"
    )
    head_size: int | None = Field(None, gt=0, description="width of a head; default: hidden_size / num_heads")
    mask: AttentionMask = Field("fully_visible", description="positions that each position may attend to")
    window: int | None = Field(
        None, gt=0, description="each position only sees positions at a distance below this number (Mistral)"
    )
    positions: Chosen[PositionsConfig] = Chosen.by_default(
        "none", description="positions in attention: rotary, relative, alibi, ..."
    )
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on attention weights")
    bias: bool = Field(True, description="biases in the query, key and value projections")
    key_bias: bool = Field(True, description="false: with bias, only queries and values have a bias (BEiT)")
    output_bias: bool | None = Field(None, description="bias in the output projection; default: same as bias")
    scale: float | None = Field(
        None, gt=0, description="factor of the attention scores; default: 1/sqrt(head_size); 1.0 in T5"
    )
    query_key_norm: Chosen[NormConfig] | None = Field(
        None, description="norm of each query and key, before their rotation (Qwen3)"
    )
    soft_cap: float | None = Field(
        None, gt=0, description="limit the scores to ±cap by cap · tanh(scores / cap) (Gemma 2)"
    )
    residual: bool = Field(False, description="add the attention scores of the previous layer (RealFormer)")
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def causal(self) -> bool:
        return self.mask != "fully_visible"

    def width(self, hidden_size: int) -> int:
        """Width of a head."""
        return self.head_size or hidden_size // self.num_heads

    def heads(self, hidden_size: int) -> HeadFacts:
        """Facts about the heads, for positions in attention."""
        groups = self.num_key_value_heads or self.num_heads
        return HeadFacts(self.num_heads, groups, self.width(hidden_size), not self.causal(), self.scale)

    def inner_context(self, option: str, context: BuildContext) -> BuildContext:
        return context.with_facts(self.heads(context.hidden_size))

    def effective(self, context: BuildContext) -> dict[str, Any]:
        width = self.width(context.hidden_size)
        found = super().effective(context) | {
            "num_key_value_heads": self.num_key_value_heads or self.num_heads,
            "head_size": width,
            "output_bias": self.bias if self.output_bias is None else self.output_bias,
            "scale": self.scale or width**-0.5,
        }
        return found if self.bias else {name: value for name, value in found.items() if name != "key_bias"}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        hidden_size = context.hidden_size
        if self.head_size is None and hidden_size % self.num_heads:
            # 1 is always a divisor, so that a number above twice num_heads cannot be nearer.
            near = [n for n in range(1, min(hidden_size, 2 * self.num_heads, 4096) + 1) if hidden_size % n == 0]
            best = min(near, key=lambda n: abs(n - self.num_heads))
            message = f"{self.num_heads} does not divide hidden_size {hidden_size}; did you mean {best}?"
            yield Problem("num_heads", message)
        groups = self.num_key_value_heads
        if groups is not None and self.num_heads % groups:
            yield Problem("num_key_value_heads", f"{groups} does not divide num_heads {self.num_heads}")
        if self.window is not None and self.mask == "causal_with_prefix":
            yield Problem("window", "is for the masks causal and fully_visible, but mask is causal_with_prefix")
        if self.residual and self.positions.config.of_layer():
            yield Problem("positions", f"'{self.positions.name}' would be added again in every layer, with residual")
