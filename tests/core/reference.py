"""The transformer encoder in float64, written out position by position from the papers' formulas.

Slow and plain on purpose: one sample, no batch, no padding, no fused anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.feed_forwards.options import DenseConfig, GatedConfig
from tp_core.modules.layers.transformer_options import LayerOptions
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.modules.norms.options import LayerNormConfig, RMSNormConfig
from tp_core.modules.positions.options import AlibiConfig, RelativeConfig
from tp_core.modules.positions.rotary_options import Llama3RotaryConfig, RotaryConfig
from tp_core.options.norm import NormConfig

Weights = Mapping[str, Tensor]

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
    weights: Weights,
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
    texts = [0] * length if documents is None else documents
    same = torch.tensor([[a == b for b in texts] for a in texts])
    carried: Tensor | None = None
    for number in range(options.num_layers):
        layer = options.layer(number)
        mixer = layer.mixer.config
        assert isinstance(mixer, AttentionConfig)
        name = f"layers.{0 if options.share_layers else number}"
        seen = same & torch.tensor([[_sees(mixer, i, j, prefix) for j in range(length)] for i in range(length)])
        if mixer.window is not None:
            seen &= torch.tensor([[abs(a - b) < mixer.window for b in places] for a in places])
        normal = states if number == 0 and not options.first_norm else _before(weights, f"{name}.mixer", states, layer)
        before = _position_bias(weights, mixer, places) if carried is None or not mixer.residual else carried
        mixed, carried = _attention(weights, f"{name}.mixer", normal, mixer, seen, before, places)
        inputs = normal
        if layer.parallel:
            states = states + _update(weights, f"{name}.mixer", mixed, layer)
        else:
            states = _added(weights, f"{name}.mixer", states, mixed, layer)
            inputs = _before(weights, f"{name}.feed_forward", states, layer)
        update = _feed_forward(weights, f"{name}.feed_forward", inputs, layer)
        states = _added(weights, f"{name}.feed_forward", states, update, layer)
    return _norm(weights, "norm", states, options.norm.config) if options.has_final_norm() else states


def _before(weights: Weights, part: str, states: Tensor, layer: LayerOptions) -> Tensor:
    """The states as a sub-layer reads them."""
    return (
        states
        if layer.norm_position == "post"
        else _norm(weights, f"{part}_residual.before", states, layer.norm.config)
    )


def _update(weights: Weights, part: str, update: Tensor, layer: LayerOptions) -> Tensor:
    """Compute the states that a sub-layer adds to the residual stream."""
    if layer.norm_position == "both":
        update = _norm(weights, f"{part}_residual.update", update, layer.norm.config)
    return update if layer.layer_scale is None else update * weights[f"{part}_residual.scale.weight"]


def _added(weights: Weights, part: str, states: Tensor, update: Tensor, layer: LayerOptions) -> Tensor:
    """The states after a sub-layer."""
    states = states + _update(weights, part, update, layer)
    return (
        _norm(weights, f"{part}_residual.after", states, layer.norm.config) if layer.norm_position == "post" else states
    )


def _sees(mixer: AttentionConfig, query: int, key: int, prefix: int) -> bool:
    if mixer.mask == "fully_visible" or key <= query:
        return True
    return mixer.mask == "causal_with_prefix" and key < prefix


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    product = x @ weights[f"{name}.weight"].T
    return product + weights[f"{name}.bias"] if f"{name}.bias" in weights else product


def _norm(weights: Weights, name: str, x: Tensor, options: NormConfig) -> Tensor:
    if isinstance(options, RMSNormConfig):
        factor = weights[f"{name}.weight"] + (1 if options.offset else 0)
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + options.eps) * factor
    assert isinstance(options, LayerNormConfig)
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + options.eps)
    scaled = scaled * weights[f"{name}.weight"]
    return scaled + weights[f"{name}.bias"] if options.bias else scaled


def _feed_forward(weights: Weights, name: str, x: Tensor, layer: LayerOptions) -> Tensor:
    options = layer.feed_forward.config
    assert isinstance(options, DenseConfig)
    act = ACTIVATIONS[options.activation]
    inner = _linear(weights, f"{name}.input", x)
    if isinstance(options, GatedConfig):
        inner = act(_linear(weights, f"{name}.gate", x)) * inner
    else:
        inner = act(inner)
    return _linear(weights, f"{name}.output", inner)


def _attention(
    weights: Weights,
    name: str,
    x: Tensor,
    options: AttentionConfig,
    seen: Tensor,
    before: Tensor,
    places: list[int],
) -> tuple[Tensor, Tensor]:
    """Mixed states (length, hidden) and the scores (heads, length, length), the ones before added."""
    heads, groups = options.num_heads, options.num_key_value_heads or options.num_heads
    size, each = options.width(x.shape[-1]), heads // groups
    scale = options.scale or size**-0.5
    # By key-value head: the queries of its heads, its key, its value.
    rows = (x @ weights[f"{name}.qkv.weight"].T).view(len(x), groups, each + 2, size)
    if options.bias and options.key_bias:
        rows = rows + weights[f"{name}.qkv.bias"].view(groups, each + 2, size)
    elif options.bias:
        bias = weights[f"{name}.qkv.bias"].view(groups, each + 1, size)
        rows[:, :, :each] += bias[:, :each]
        rows[:, :, each + 1] += bias[:, each]
    mixed, all_scores = [], []
    for head in range(heads):
        group, place = divmod(head, each)
        query, key, value = rows[:, group, place], rows[:, group, each], rows[:, group, each + 1]
        if options.query_key_norm is not None:
            query = _norm(weights, f"{name}.query_norm", query, options.query_key_norm.config)
            key = _norm(weights, f"{name}.key_norm", key, options.query_key_norm.config)
        if isinstance(options.positions.config, RotaryConfig):
            query, key = (_rotated(part, places, options.positions.config) for part in (query, key))
        scores = scale * (query @ key.T)
        if options.soft_cap is not None:
            scores = options.soft_cap * torch.tanh(scores / options.soft_cap)
        scores = scores + before[head]
        all_scores.append(scores)
        exponentials = torch.exp(scores) * seen
        mixed.append(exponentials / exponentials.sum(-1, keepdim=True) @ value)
    return _linear(weights, f"{name}.output", torch.cat(mixed, dim=-1)), torch.stack(all_scores)


def _rotated(x: Tensor, places: list[int], options: RotaryConfig) -> Tensor:
    """Pairs of channels as complex numbers, turned by position × frequency (Su et al., 2021)."""
    width = int(x.shape[-1] * options.fraction)
    frequencies = [_frequency(options.theta ** (-2 * i / width), options) for i in range(width // 2)]
    turn = torch.exp(1j * torch.tensor([[p * f for f in frequencies] for p in places], dtype=torch.float64))
    part = x[:, :width]
    if options.interleaved:
        turned = torch.view_as_real(torch.complex(part[:, 0::2], part[:, 1::2]) * turn).flatten(-2)
    else:
        turned = torch.complex(part[:, : width // 2], part[:, width // 2 :]) * turn
        turned = torch.cat([turned.real, turned.imag], dim=-1)
    return torch.cat([turned, x[:, width:]], dim=-1)


def _frequency(frequency: float, options: RotaryConfig) -> float:
    """A frequency as it is scaled for longer texts."""
    if not isinstance(options, Llama3RotaryConfig):
        return frequency / options.factor
    wavelength = 2 * math.pi / frequency
    if wavelength < options.original_length / options.high_frequency_factor:
        return frequency
    if wavelength > options.original_length / options.low_frequency_factor:
        return frequency / options.factor
    low, high = options.low_frequency_factor, options.high_frequency_factor
    share = (options.original_length / wavelength - low) / (high - low)
    return (1 - share) * frequency / options.factor + share * frequency


def _position_bias(weights: Weights, options: AttentionConfig, places: list[int]) -> Tensor:
    """(heads, length, length)."""
    heads, positions = options.num_heads, options.positions.config
    bias = torch.zeros(heads, len(places), len(places), dtype=torch.float64)
    for i, query in enumerate(places):
        for j, key in enumerate(places):
            if isinstance(positions, RelativeConfig):
                bucket = _bucket(key - query, positions, both=options.mask == "fully_visible")
                bias[:, i, j] = weights["shared.0.bias.weight"][bucket]
            elif isinstance(positions, AlibiConfig):  # a power of two of heads: 1/2, 1/4 ... for eight
                first = 2 ** (-8 / heads)
                slopes = [first ** (head + 1) for head in range(heads)]
                bias[:, i, j] = -abs(key - query) * torch.tensor(slopes, dtype=torch.float64)
    return bias


def _bucket(distance: int, options: RelativeConfig, both: bool) -> int:
    """T5's buckets: one per small distance, then logarithmically wider ones (Raffel et al., 2020)."""
    buckets, first = options.buckets, 0
    if both:
        buckets //= 2
        first = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    share = math.log(distance / exact) / math.log(options.max_distance / exact)
    return first + min(buckets - 1, exact + int(share * (buckets - exact)))
