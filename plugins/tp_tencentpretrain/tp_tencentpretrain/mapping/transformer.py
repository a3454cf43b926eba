"""Transformer encoders and decoders of the original."""

from __future__ import annotations

import math
from typing import Any

from tp_core.errors import TPError
from tp_core.interop.rules import Copy, Ignored, Same, Stacked, WeightRule, below
from tp_tencentpretrain.mapping.norms import decoder_norm, layer_norm
from tp_tencentpretrain.mapping.piece import Piece
from tp_tencentpretrain.mapping.rules import RotatedStacked, Scaled
from tp_tencentpretrain.original.config import OriginalConfig

#: The original's names of activations → ours.
ACTIVATIONS = {"gelu": "gelu", "gelu_fast": "gelu_tanh", "relu": "relu", "silu": "silu", "linear": "linear"}


def activation(config: OriginalConfig) -> str:
    return ACTIVATIONS[config.one_of("hidden_act", *ACTIVATIONS)]


def transformer_encoder(config: OriginalConfig, theirs: str, ours: str) -> Piece:
    """The encoder ``transformer``.

    Args:
        config: the config.
        theirs: the beginning of the original's names, such as ``encoder``.
        ours: the beginning of our names.
    """
    _check_relative(config)
    shared = bool(config["parameter_sharing"])
    layer = f"{theirs}.transformer" if shared else f"{theirs}.transformer.{{layer}}"
    own = f"{ours}.layers.0" if shared else f"{ours}.layers.{{layer}}"
    tree = _options(config, config.need("layers_num")) | ({"share_layers": True} if shared else {})
    mask = config["mask"] if config["mask"] in ("fully_visible", "causal") else "causal_with_prefix"
    tree["mask"] = mask
    attention = tree["mixer"]["attention"]
    if config["relative_position_embedding"] and mask != "fully_visible":
        attention["positions"]["relative"]["two_way"] = True  # as in all encoders of the original
    if config["has_residual_attention"]:
        attention["residual"] = True
    rules = [*_sub_layers(config, layer, own), *_end(config, theirs, ours, decoder=False)]
    if config["relative_position_embedding"]:
        used = [f"{theirs}.transformer{'' if shared else f'.{n}'}" for n in range(1 if shared else tree["num_layers"])]
        rules += _relative(config, f"{ours}.shared.0.bias.weight", [f"{each}.relative_pos_emb" for each in used])
        # The original makes another one, which it never uses, but which its converters write and read.
        rules.append(Copy(f"{theirs}.{_TABLE}", of=f"{used[0]}.{_TABLE}", written=True, checked=False))
    if config["factorized_embedding_parameterization"]:
        if config.need("emb_size") == config.need("hidden_size"):
            raise TPError(
                f"{config.where}: 'factorized_embedding_parameterization' needs different sizes; 'emb_size' and "
                f"'hidden_size' are both {config['emb_size']}, and such a model cannot be converted"
            )
        rules.append(Same(f"{theirs}.linear", f"{ours}.projection"))
    elif config.need("emb_size") != config.need("hidden_size"):
        raise TPError(
            f"{config.where}: 'emb_size' is {config['emb_size']} and 'hidden_size' {config['hidden_size']}; a "
            "transformer needs equal sizes, or 'factorized_embedding_parameterization'"
        )
    notes = []
    if config["mask"] not in ("fully_visible", "causal", "causal_with_prefix"):
        notes.append(f"the mask '{config['mask']}' is causal_with_prefix, as the original reads any unknown name")
    return Piece({"transformer": tree}, rules, notes)


def _check_relative(config: OriginalConfig) -> None:
    """Refuse what would be computed differently with relative positions.

    The original adds the positions in every layer to the scores of the layer before, and rotates queries and keys as
    well.

    Raises:
        TPError: the config has such an option.
    """
    if not config["relative_position_embedding"]:
        return
    for key in ("has_residual_attention", "rotary_position_embedding"):
        if config[key]:
            raise TPError(f"{config.where}: '{key}' together with 'relative_position_embedding' cannot be converted")


def transformer_decoder(config: OriginalConfig) -> Piece:
    """The decoder ``transformer``."""
    count = config.need("decoder_layers_num")
    tree = _options(config, count)
    del tree["mixer"]["attention"]["positions"]
    last = decoder_norm(config)
    if config["layernorm_positioning"] == "pre" and last.tree != tree["norm"]:
        tree = {**tree, "norm": last.tree, "layers": {":": {"norm": tree["norm"]}}}
    layer, own = "decoder.transformer_decoder.{layer}", "decoder.layers.{layer}"
    attention = f"{layer}.context_attn"
    groups = _groups(config)
    rules = [
        *_sub_layers(config, layer, own, decoder=True),
        Same(f"{attention}.linear_layers.0", f"{own}.cross_attention.query"),
        Stacked(
            below(attention, "linear_layers.1", "linear_layers.2"), f"{own}.cross_attention.key_value", groups=groups
        ),
        Same(f"{attention}.final_linear", f"{own}.cross_attention.output"),
        *_end(config, "decoder", "decoder", decoder=True),
    ]
    if config["relative_position_embedding"]:
        tree["mixer"]["attention"]["positions"] = _relative_tree(config)
        rules += _relative(config, "decoder.shared.0.bias.weight", ["decoder.self_pos_emb"])
    return Piece({"transformer": tree}, rules)


_TABLE = "relative_pos_emb.relative_attention_bias.weight"


def _groups(config: OriginalConfig) -> int:
    groups = config["local_kv_heads_num"] or config.need("heads_num")
    return int(groups)


def _head_size(config: OriginalConfig) -> int:
    return int(config["attention_head_size"] or config.need("hidden_size") // config.need("heads_num"))


def _options(config: OriginalConfig, layers: int) -> dict[str, Any]:
    """The options that encoders and decoders share."""
    bias = not config["remove_transformer_bias"]
    heads, size, hidden = config.need("heads_num"), _head_size(config), config.need("hidden_size")
    attention: dict[str, Any] = {"bias": bias, "positions": "none"}
    if size * heads != hidden:
        attention["head_size"] = size
    if _groups(config) != heads:
        attention["num_key_value_heads"] = _groups(config)
    if config["remove_attention_scale"]:
        attention["scale"] = 1.0
    if config["relative_position_embedding"]:
        attention["positions"] = _relative_tree(config)
    elif config["rotary_position_embedding"]:
        attention["positions"] = {"rotary": {"theta": 10000.0}}
    kind = config.one_of("feed_forward", "dense", "gated")
    inner = config.need("feedforward_size")
    return {
        "num_layers": layers,
        "num_heads": heads,
        **({"feed_forward_size": inner} if inner != 4 * hidden else {}),
        "norm": layer_norm(config).tree,
        "norm_position": config.one_of("layernorm_positioning", "post", "pre"),
        "mixer": {"attention": attention},
        "feed_forward": {kind: {"activation": activation(config), "bias": bias}},
    }


def _relative_tree(config: OriginalConfig) -> dict[str, Any]:
    return {"relative": {"buckets": config["relative_attention_buckets_num"], "max_distance": 128}}


def _relative(config: OriginalConfig, ours: str, theirs: list[str]) -> list[WeightRule]:
    """The table of distances, which several names of the original share. It is scaled like the scores."""
    first, *others = (f"{each}.relative_attention_bias.weight" for each in theirs)
    scale = 1.0 if config["remove_attention_scale"] else math.sqrt(_head_size(config))
    return [Scaled(first, ours, divisor=scale), *(Copy(each, of=first, written=True) for each in others)]


def _sub_layers(config: OriginalConfig, layer: str, own: str, decoder: bool = False) -> list[WeightRule]:
    """The rules of attention, feed-forward part and norms of the layers."""
    heads, groups, size = config.need("heads_num"), _groups(config), _head_size(config)
    projections = below(f"{layer}.self_attn.linear_layers", "0", "1", "2")
    rotary = config["rotary_position_embedding"] and not config["relative_position_embedding"] and not decoder
    shares = (heads, groups, groups)
    qkv = (
        RotatedStacked(projections, f"{own}.mixer.qkv", shares=shares, groups=groups, size=size)
        if rotary
        else Stacked(projections, f"{own}.mixer.qkv", shares=shares, groups=groups)
    )
    place = "before" if config["layernorm_positioning"] == "pre" else "after"
    parts = ["mixer", "cross_attention", "feed_forward"] if decoder else ["mixer", "feed_forward"]
    norm = layer_norm(config)
    norms = [
        rule
        for number, part in enumerate(parts, 1)
        for rule in norm.rules(f"{layer}.layer_norm_{number}", f"{own}.{part}_residual.{place}")
    ]
    gate = [Same(f"{layer}.feed_forward.linear_gate", f"{own}.feed_forward.gate")]
    return [
        qkv,
        Same(f"{layer}.self_attn.final_linear", f"{own}.mixer.output"),
        *norms,
        *(gate if config["feed_forward"] == "gated" else []),
        Same(f"{layer}.feed_forward.linear_1", f"{own}.feed_forward.input"),
        Same(f"{layer}.feed_forward.linear_2", f"{own}.feed_forward.output"),
    ]


def _end(config: OriginalConfig, theirs: str, ours: str, decoder: bool) -> list[WeightRule]:
    """The norm after the last layer; and the angles of rotary positions, which old versions store."""
    norm = decoder_norm(config) if decoder else layer_norm(config)
    rules: list[WeightRule] = [Ignored(f"{theirs}.freqs_cis")]
    return (
        [*rules, *norm.rules(f"{theirs}.layer_norm", f"{ours}.norm")]
        if config["layernorm_positioning"] == "pre"
        else rules
    )
