"""Options of transformer layers. Torch-free."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext

Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "relu_squared", "silu", "tanh", "linear"]


AttentionMask = Literal["fully_visible", "causal", "causal_with_prefix"]


class TransformerOptions(ModuleConfig):
    """Options that transformer encoders and decoders share."""

    num_layers: int = Field(12, gt=0, description="number of layers")
    num_heads: int = Field(12, gt=0, description="attention heads")
    num_key_value_heads: int | None = Field(
        None, gt=0, description="key and value heads of grouped-query attention; num_heads if unset"
    )
    head_size: int | None = Field(None, gt=0, description="width of a head; hidden_size / num_heads if unset")
    feed_forward_size: int | None = Field(None, gt=0, description="inner width; 4 × hidden_size if unset")
    feed_forward: Literal["dense", "gated"] = Field(
        "dense", description="dense: W2 f(W1 x); gated: W2 (f(Wg x) · W1 x)"
    )
    activation: Activation = Field("gelu", description="gelu is exact, gelu_tanh the approximation of GPT-2")
    mask: AttentionMask = Field("fully_visible", description="which positions a position may see")
    attention_window: int | None = Field(
        None, gt=0, description="how many positions, itself included, a causal position sees at most (Mistral)"
    )
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    norm_position: Literal["pre", "post"] = Field("post", description="normalise before or after each sub-layer")
    norm_eps: float = Field(1e-12, gt=0)
    norm_bias: bool = Field(True, description="whether LayerNorm has a bias")
    final_norm: bool | None = Field(None, description="a norm after the last layer; unset: with norm_position pre")
    attention_bias: bool = Field(True, description="biases in the query, key and value projections")
    key_bias: bool = Field(True, description="false: with attention_bias, only queries and values have one (BEiT)")
    attention_output_bias: bool | None = Field(
        None, description="bias of the output projection; attention_bias if unset"
    )
    feed_forward_bias: bool = Field(True, description="biases in the feed-forward layers")
    attention_scale: float | None = Field(
        None, gt=0, description="factor of the scores; 1/sqrt(head_size) if unset, 1.0 for T5"
    )
    position_encoding: Literal["none", "rotary", "relative", "alibi", "relative_grid"] = Field(
        "none", description="positions that belong to attention; relative: T5's, relative_grid: BEiT's"
    )
    rotary_theta: float = Field(10000.0, gt=0, description="base of the rotary frequencies")
    rotary_fraction: float = Field(1.0, gt=0, le=1, description="part of each head that is rotated")
    rotary_interleaved: bool = Field(False, description="rotate neighbouring pairs instead of the two halves")
    relative_buckets: int = Field(32, gt=1, description="buckets of T5's relative positions")
    relative_max_distance: int = Field(128, gt=1, description="distance from which all fall into the last bucket")
    grid: list[int] | None = Field(
        None, min_length=2, max_length=2, description="of relative_grid: rows and columns; the embedding's if unset"
    )
    grid_per_layer: bool = Field(False, description="a relative_grid bias in each layer; else one for all layers")
    residual_attention: bool = Field(False, description="add the scores of the layer before (RealFormer)")
    share_layers: bool = Field(False, description="one set of weights for all layers (ALBERT)")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the output of each sub-layer")
    attention_dropout: float | None = Field(None, ge=0, lt=1, description="on attention weights; dropout if unset")
    activation_dropout: float = Field(0.0, ge=0, lt=1, description="inside the feed-forward layers")
    layer_scale: float | None = Field(
        None, gt=0, description="initial value of a learned factor per channel of each sub-layer's output (CaiT)"
    )
    layer_drop: float = Field(0.0, ge=0, lt=1, description="stochastic depth: chance to skip a sub-layer, per sample")
    layer_drop_growing: bool = Field(False, description="from 0 in the first layer to layer_drop in the last")
    init_std: float = Field(0.02, gt=0, description="standard deviation of the initial weights")
    scale_residual_init: bool = Field(
        False, description="divide the initial output weights by sqrt(2 × layers) (GPT-2)"
    )

    def uses_attention(self) -> bool:
        """True if positions are mixed by attention."""
        return True

    def placed(self, context: BuildContext) -> "TransformerOptions":
        """These options with the grid of the embedding's patches, where ``grid`` is unset."""
        if self.position_encoding != "relative_grid" or self.grid is not None or context.grid is None:
            return self
        return self.model_copy(update={"grid": [context.grid.height, context.grid.width]})

    def learned_grid(self) -> tuple[int, int] | None:
        """Rows and columns of relative_grid's biases; None with other positions."""
        known = self.grid if self.position_encoding == "relative_grid" else None
        return None if known is None else (known[0], known[1])

    def check_grid_bias(self, context: BuildContext) -> Iterator[Problem]:
        if self.position_encoding == "relative_grid" and self.placed(context).grid is None:
            yield Problem("position_encoding", "relative_grid is for embeddings that make patches, such as patch")

    def head_width(self, hidden_size: int) -> int:
        return self.head_size or hidden_size // self.num_heads

    def effective(self, context: BuildContext) -> dict[str, Any]:
        width = self.head_width(context.hidden_size)
        output_bias, final = self.attention_output_bias, self.final_norm
        found = super().effective(context) | {
            "grid": self.placed(context).grid,
            "num_key_value_heads": self.num_key_value_heads or self.num_heads,
            "head_size": width,
            "feed_forward_size": self.feed_forward_size or 4 * context.hidden_size,
            "attention_output_bias": self.attention_bias if output_bias is None else output_bias,
            "attention_scale": self.attention_scale or width**-0.5,
            "final_norm": self.norm_position == "pre" if final is None else final,
        }
        kinds = {"rotary": "rotary_", "relative": "relative_", "relative_grid": "grid"}
        absent = tuple(prefix for kind, prefix in kinds.items() if self.position_encoding != kind)
        idle = [name for name in found if name.startswith(absent)]
        idle += ["norm_bias"] if self.norm == "rmsnorm" else []
        idle += [] if self.attention_bias else ["key_bias"]
        return {name: value for name, value in found.items() if name not in idle}

    def check_attention(self, hidden_size: int) -> Iterator[Problem]:
        if self.head_size is None and hidden_size % self.num_heads:
            # 1 divides everything, so that no number beyond twice num_heads is nearer.
            near = [n for n in range(1, min(hidden_size, 2 * self.num_heads, 4096) + 1) if hidden_size % n == 0]
            best = min(near, key=lambda n: abs(n - self.num_heads))
            message = f"{self.num_heads} does not divide hidden_size {hidden_size}; did you mean {best}?"
            yield Problem("num_heads", message)
        groups = self.num_key_value_heads
        if groups is not None and self.num_heads % groups:
            yield Problem("num_key_value_heads", f"{groups} does not divide num_heads {self.num_heads}")
        if self.attention_window is not None and self.mask != "causal":
            yield Problem("attention_window", f"needs mask: causal, and mask is {self.mask}")
        rotated = int(self.head_width(hidden_size) * self.rotary_fraction)
        if self.position_encoding == "rotary" and rotated % 2:
            yield Problem("position_encoding", f"rotary positions need an even head width, got {rotated}")
        if self.share_layers and self.layer_drop_growing:
            yield Problem("layer_drop_growing", "is for layers that differ, and share_layers makes one of them all")
        if self.grid_per_layer and self.residual_attention:
            yield Problem("grid_per_layer", "would be added again in every layer, with residual_attention")
        if self.grid is not None and min(self.grid) < 1:
            yield Problem("grid", f"rows and columns are at least 1, got {self.grid}")
        if self.position_encoding == "relative":
            # Half of the buckets (of each direction, where there are two) hold one distance each.
            single = self.relative_buckets // (4 if self.mask == "fully_visible" else 2)
            if single < 1:
                message = f"must be at least 4 where both directions are seen, got {self.relative_buckets}"
                yield Problem("relative_buckets", message)
            elif self.relative_max_distance <= single:
                message = f"must be greater than {single}, the distances that have a bucket of their own"
                yield Problem("relative_max_distance", f"{message}; got {self.relative_max_distance}")
