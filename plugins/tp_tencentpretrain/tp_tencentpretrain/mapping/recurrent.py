"""Recurrent and convolutional encoders of the original."""

from __future__ import annotations

from tp_core.interop.rules import Same, WeightRule
from tp_tencentpretrain.mapping.piece import Piece
from tp_tencentpretrain.mapping.rules import FirstGatedFilters, GatedBiases, GatedFilters
from tp_tencentpretrain.original.config import OriginalConfig

_TENSORS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def recurrent_encoder(config: OriginalConfig, theirs: str, ours: str) -> Piece:
    """The encoders ``rnn``, ``lstm``, ``gru``, and those with two separate directions."""
    name = str(config["encoder"])
    separate = name.startswith("bi")
    both = bool(config["bidirectional"]) and not separate
    tree = {"num_layers": config.need("layers_num")} | ({"bidirectional": True} if both else {})
    if separate or both:
        tree["padding"] = True
    stacks = {"rnn_forward": "ahead", "rnn_backward": "back"} if separate else {"rnn": "stack"}
    rules: list[WeightRule] = [
        Same(f"{theirs}.{their}.{tensor}_l{{layer}}{way}", f"{ours}.{own}.layers.{{layer}}.{tensor}_l0{way}")
        for their, own in stacks.items()
        for tensor in _TENSORS
        for way in ("", "_reverse")
    ]
    return Piece({name: tree}, rules)


def gated_cnn_encoder(config: OriginalConfig, theirs: str, ours: str) -> Piece:
    """The encoder ``gatedcnn``."""
    layers = config.need("layers_num")
    tree = {
        "num_layers": layers,
        "kernel_size": config.need("kernel_size"),
        "block_size": config.need("block_size"),
        "dropout": 0.0,
    }
    own = f"{ours}.layers.{{layer}}.convolution"
    first = own.format(layer=0)
    rules: list[WeightRule] = [
        FirstGatedFilters((f"{theirs}.conv_1.weight", f"{theirs}.gate_1.weight"), f"{first}.weight"),
        GatedBiases(
            (f"{theirs}.conv_1.bias", f"{theirs}.conv_b1", f"{theirs}.gate_1.bias", f"{theirs}.gate_b1"),
            f"{first}.bias",
        ),
    ]
    for number in range(layers - 1):
        later = own.format(layer=number + 1)
        conv, gate = f"{theirs}.conv.{number}", f"{theirs}.gate.{number}"
        more = f"{theirs}.conv_b.{number}", f"{theirs}.gate_b.{number}"
        rules += [
            GatedFilters((f"{conv}.weight", f"{gate}.weight"), f"{later}.weight"),
            GatedBiases((f"{conv}.bias", more[0], f"{gate}.bias", more[1]), f"{later}.bias"),
        ]
    return Piece({"gatedcnn": tree}, rules)
