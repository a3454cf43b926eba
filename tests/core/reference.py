"""The transformer encoder in float64, written out position by position from the papers' formulas.

Slow and plain on purpose: one sample, no batch, no padding, no fused anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tp_core.modules.encoders.transformer_options import TransformerConfig

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x / (1 + torch.exp(-1.702 * x)),
    "relu": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "relu_squared": lambda x: torch.where(x > 0, x * x, torch.zeros_like(x)),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "tanh": lambda x: (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x)),
    "linear": lambda x: x,
}


def encode(
    weights: Mapping[str, Tensor],
    options: TransformerConfig,
    states: Tensor,
    prefix: int = 0,
    documents: Sequence[int] | None = None,
    positions: Sequence[int] | None = None,
) -> Tensor:
    """Final states (length, hidden) of one sample.

    Args:
        weights: the encoder's, in float64.
        states: (length, width) of the embeddings.
        prefix: leading positions that everyone sees under ``causal_with_prefix``.
        documents: of packed rows, the document of each position.
        positions: of each state, where it is not its index.
    """
    length = len(states)
    places = list(range(length)) if positions is None else list(positions)
    if "projection.weight" in weights:
        states = _linear(weights, "projection", states)
    seen = torch.tensor([[_sees(options.mask, i, j, prefix) for j in range(length)] for i in range(length)])
    if documents is not None:
        seen &= torch.tensor([[a == b for b in documents] for a in documents])
    scores = _position_bias(weights, options, places)
    for number in range(options.num_layers):
        name = f"layers.{0 if options.share_layers else number}"

        def norm(part: str, x: Tensor, name: str = name) -> Tensor:
            return _norm(weights, f"{name}.{part}_norm", x, options)

        inputs = norm("attention", states) if options.norm_position == "pre" else states
        before = scores if options.residual_attention or number == 0 else _position_bias(weights, options, places)
        mixed, scores = _attention(weights, f"{name}.attention", inputs, options, seen, before, places)
        states = states + mixed
        states = states if options.norm_position == "pre" else norm("attention", states)
        inputs = norm("feed_forward", states) if options.norm_position == "pre" else states
        states = states + _feed_forward(weights, f"{name}.feed_forward", inputs, options)
        states = states if options.norm_position == "pre" else norm("feed_forward", states)
    return _norm(weights, "norm", states, options) if "norm.weight" in weights else states


def _sees(mask: str, query: int, key: int, prefix: int) -> bool:
    if mask == "fully_visible" or key <= query:
        return True
    return mask == "causal_with_prefix" and key < prefix


def _linear(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    product = x @ weights[f"{name}.weight"].T
    return product + weights[f"{name}.bias"] if f"{name}.bias" in weights else product


def _norm(weights: Mapping[str, Tensor], name: str, x: Tensor, options: TransformerConfig) -> Tensor:
    if options.norm == "rmsnorm":
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + options.norm_eps) * weights[f"{name}.weight"]
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + options.norm_eps)
    scaled = scaled * weights[f"{name}.weight"]
    return scaled + weights[f"{name}.bias"] if f"{name}.bias" in weights else scaled


def _feed_forward(weights: Mapping[str, Tensor], name: str, x: Tensor, options: TransformerConfig) -> Tensor:
    act = ACTIVATIONS[options.activation]
    inner = _linear(weights, f"{name}.input", x)
    if options.feed_forward == "gated":
        inner = act(_linear(weights, f"{name}.gate", x)) * inner
    else:
        inner = act(inner)
    return _linear(weights, f"{name}.output", inner)


def _attention(
    weights: Mapping[str, Tensor],
    name: str,
    x: Tensor,
    options: TransformerConfig,
    seen: Tensor,
    before: Tensor,
    places: list[int],
) -> tuple[Tensor, Tensor]:
    """Mixed states (length, hidden) and the scores (heads, length, length), the ones before added."""
    heads, groups = options.num_heads, options.num_key_value_heads or options.num_heads
    size = options.head_size or options.hidden_size // heads
    scale = options.attention_scale or size**-0.5
    rows = _linear(weights, f"{name}.qkv", x).view(len(x), heads + 2 * groups, size)
    mixed, all_scores = [], []
    for head in range(heads):
        group = head // (heads // groups)
        query, key, value = rows[:, head], rows[:, heads + group], rows[:, heads + groups + group]
        if options.position_encoding == "rotary":
            query, key = _rotated(query, places, options, size), _rotated(key, places, options, size)
        scores = scale * (query @ key.T) + before[head]
        all_scores.append(scores)
        exponentials = torch.exp(scores) * seen
        mixed.append(exponentials / exponentials.sum(-1, keepdim=True) @ value)
    return _linear(weights, f"{name}.output", torch.cat(mixed, dim=-1)), torch.stack(all_scores)


def _rotated(x: Tensor, places: list[int], options: TransformerConfig, size: int) -> Tensor:
    """Pairs of channels as complex numbers, turned by position × frequency (Su et al., 2021)."""
    width = int(size * options.rotary_fraction)
    angles = [[p * options.rotary_theta ** (-2 * i / width) for i in range(width // 2)] for p in places]
    turn = torch.exp(1j * torch.tensor(angles, dtype=torch.float64))
    part = x[:, :width]
    if options.rotary_interleaved:
        turned = torch.view_as_real(torch.complex(part[:, 0::2], part[:, 1::2]) * turn).flatten(-2)
    else:
        turned = torch.complex(part[:, : width // 2], part[:, width // 2 :]) * turn
        turned = torch.cat([turned.real, turned.imag], dim=-1)
    return torch.cat([turned, x[:, width:]], dim=-1)


def _position_bias(weights: Mapping[str, Tensor], options: TransformerConfig, places: list[int]) -> Tensor:
    """(heads, length, length)."""
    bias = torch.zeros(options.num_heads, len(places), len(places), dtype=torch.float64)
    for i, query in enumerate(places):
        for j, key in enumerate(places):
            if options.position_encoding == "relative":
                bias[:, i, j] = weights["bias.bias.weight"][_bucket(key - query, options)]
            elif options.position_encoding == "alibi":  # a power of two of heads: 1/2, 1/4 ... for eight
                first = 2 ** (-8 / options.num_heads)
                slopes = [first ** (head + 1) for head in range(options.num_heads)]
                bias[:, i, j] = -abs(key - query) * torch.tensor(slopes, dtype=torch.float64)
    return bias


def _bucket(distance: int, options: TransformerConfig) -> int:
    """T5's buckets: one per small distance, then logarithmically wider ones (Raffel et al., 2020)."""
    buckets, first = options.relative_buckets, 0
    if options.mask == "fully_visible":
        buckets //= 2
        first = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    share = math.log(distance / exact) / math.log(options.relative_max_distance / exact)
    return first + min(buckets - 1, exact + int(share * (buckets - exact)))
