"""Options of co-attention. Torch-free."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from tp_core.modules.layers.activation_names import Activation
from tp_core.modules.layers.transformer_options import LayerOptions
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.encoder import FusionConfig
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.norm import NormConfig


class CoAttentionConfig(FusionConfig):
    """Co-attention: in each layer, each of two streams attends to the other, then to itself (Lu et al., 2019)."""

    implementation: ClassVar[str] = "tp_crossmodal.encoders.co_attention:CoAttention"

    num_layers: ModelSize[int] = Field(6, gt=0, description="number of layers")
    num_heads: ModelSize[int | dict[str, int]] = Field(
        12, description="heads of self-attention: one number, or one per stream, such as {text: 12, image: 8}"
    )
    feed_forward_size: ModelSize[int | dict[str, int] | None] = Field(
        None, description="inner width: one number, or one per stream; default: 4 x the width of the stream"
    )
    co_heads: int = Field(8, gt=0, description="number of heads of the attention to the other stream")
    co_size: int | None = Field(
        None, gt=0, description="width of the attention to the other stream; default: the width of the widest stream"
    )
    activation: Activation = "gelu"
    norm: Chosen[NormConfig] = Chosen.by_default("layernorm", description="norm after each sub-layer")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on the output of each sub-layer")
    attention_dropout: TrainingOnly[float | None] = Field(
        None, ge=0, lt=1, description="dropout on attention weights; default: the option dropout"
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def width(self, context: BuildContext) -> int:
        """Width of the attention to the other stream."""
        return self.co_size or max(facts.hidden_size for facts in context.streams.values())

    def of_stream(self, name: str) -> LayerOptions:
        """Options of the self-attention layers of a stream."""
        heads, inner, rate = self.num_heads, self.feed_forward_size, self.attention_dropout
        return LayerOptions(
            mixer={"attention": {} if rate is None else {"dropout": rate}},  # type: ignore[arg-type]
            feed_forward={"dense": {"activation": self.activation}},  # type: ignore[arg-type]
            norm=self.norm,
            num_heads=heads.get(name, 12) if isinstance(heads, dict) else heads,
            feed_forward_size=inner.get(name) if isinstance(inner, dict) else inner,
            dropout=self.dropout,
            init_std=self.init_std,
        )

    def across(self, context: BuildContext) -> AttentionConfig:
        """Options of the attention to the other stream."""
        return AttentionConfig(
            num_heads=self.co_heads,
            head_size=self.width(context) // self.co_heads,
            dropout=self.dropout if self.attention_dropout is None else self.attention_dropout,
            init_std=self.init_std,
        )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        names = list(context.streams)
        if len(names) != 2:
            have = f"this one has {', '.join(names)}" if names else "this one has none"
            yield Problem("", f"joins exactly two streams (model.streams); {have}")
            return
        for option in ("num_heads", "feed_forward_size"):
            value = getattr(self, option)
            unknown = [name for name in value if name not in names] if isinstance(value, dict) else []
            if unknown:
                yield Problem(option, f"names '{unknown[0]}'; the streams are {' and '.join(names)}")
                return
            given = value.values() if isinstance(value, dict) else [1 if value is None else value]
            if min(given, default=1) < 1:
                yield Problem(option, f"must be greater than 0, got {min(given)}")
                return
        for name, facts in context.streams.items():
            own = context._replace(hidden_size=facts.hidden_size)
            for problem in self.of_stream(name).mixer.config.check(own):
                yield Problem(problem.option, f"of the stream '{name}': {problem.message}")
        if self.width(context) % self.co_heads:
            yield Problem("co_heads", f"{self.co_heads} does not divide the width, {self.width(context)}")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        del found["hidden_size"]  # each stream keeps its own
        return {**found, "co_size": self.width(context)} if context.streams else found
