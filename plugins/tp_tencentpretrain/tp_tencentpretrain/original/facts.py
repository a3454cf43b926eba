"""The facts about a config that the tensors of a checkpoint show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tp_core.errors import CheckpointError
from tp_core.interop.matching import listed
from tp_core.interop.rules import Shape
from tp_tencentpretrain.original.checkpoint import Checkpoint
from tp_tencentpretrain.original.config import OriginalConfig

Fact = tuple[str, Any]


def check_facts(config: OriginalConfig, checkpoint: Checkpoint, source: Path) -> None:
    """Compare a config with the tensors of a checkpoint.

    Raises:
        CheckpointError: keys of the config do not fit; the message names each with the value that fits.
    """
    wrong = []
    if config["encoder"] == "dual" and isinstance(config["stream_0"], dict) and isinstance(config["stream_1"], dict):
        for number in (0, 1):
            side = config.stream(f"stream_{number}")
            prefixes = (f"embedding.dual.embedding_{number}.", f"encoder.encoder_{number}.")
            wrong += [f"stream_{number}.{each}" for each in _misfits(side, checkpoint.shapes, *prefixes)]
    else:
        wrong += _misfits(config, checkpoint.shapes, "embedding.", "encoder.")
        wrong += _of_decoder(config, checkpoint.shapes)
    if wrong:
        raise CheckpointError(listed(f"{source}: the checkpoint is of another config than {config.where}:", wrong))


def _misfits(config: OriginalConfig, shapes: Mapping[str, Shape], embedding: str, encoder: str) -> list[str]:
    found: dict[str, Any] = {}
    for key, value in _facts(shapes, embedding, encoder, config):
        found.setdefault(key, value)
    return [_line(key, config, value) for key, value in found.items() if config[key] != value]


def _line(key: str, config: OriginalConfig, value: Any) -> str:
    given = json.dumps(config[key])
    default = "" if key in config.given else " (the default)"
    return f"'{key}' is {given}{default}, the checkpoint has {json.dumps(value)}"


def _facts(shapes: Mapping[str, Shape], embedding: str, encoder: str, config: OriginalConfig) -> Iterator[Fact]:
    for name, key in (("word.embedding.weight", "emb_size"), ("pos.embedding.weight", "emb_size")):
        if embedding + name in shapes:
            yield key, shapes[embedding + name][1]
    positions = shapes.get(f"{embedding}pos.embedding.weight")
    if positions is not None and "speech" not in (config["embedding"] or ()):
        yield "max_seq_length", positions[0]
    for module in ("patch", "masked_patch", "word_patch.vision_embedding"):
        filters = shapes.get(f"{embedding}{module}.projection.weight")
        if filters is not None:
            yield "emb_size", filters[0]
            yield "channels_num", filters[1]
            yield "patch_size", filters[2]
    blocks = _count(shapes, rf"{re.escape(encoder)}transformer\.(\d+)\.self_attn\.")
    layer = f"{encoder}transformer.0." if blocks else f"{encoder}transformer."
    first = shapes.get(f"{layer}feed_forward.linear_1.weight")
    if first is None:
        yield from _of_recurrent(shapes, encoder)
        return
    if blocks:
        yield "layers_num", blocks
    yield "parameter_sharing", not blocks
    yield "hidden_size", first[1]
    yield "feedforward_size", first[0]
    gated = f"{layer}feed_forward.linear_gate.weight" in shapes
    yield "feed_forward", "gated" if gated else "dense"
    yield "remove_transformer_bias", f"{layer}self_attn.final_linear.bias" not in shapes
    final = any(name.startswith(f"{encoder}layer_norm.") for name in shapes)
    yield "layernorm_positioning", "pre" if final else "post"
    relative = any("relative_pos_emb." in name for name in shapes if name.startswith(encoder))
    yield "relative_position_embedding", relative


def _of_recurrent(shapes: Mapping[str, Shape], encoder: str) -> Iterator[Fact]:
    for stack, separate in (("rnn", False), ("rnn_forward", True)):
        over = shapes.get(f"{encoder}{stack}.weight_hh_l0")
        if over is None:
            continue
        both = f"{encoder}{stack}.weight_hh_l0_reverse" in shapes
        yield "layers_num", _count(shapes, rf"{re.escape(encoder)}{stack}\.weight_hh_l(\d+)$")
        yield "hidden_size", over[1] * (2 if separate or both else 1)
        if not separate:
            yield "bidirectional", both
    filters = shapes.get(f"{encoder}conv_1.weight")
    if filters is not None:
        yield "layers_num", 1 + _count(shapes, rf"{re.escape(encoder)}conv\.(\d+)\.weight$")
        yield "hidden_size", filters[0]
        yield "kernel_size", filters[2]
        yield "emb_size", filters[3]


def _of_decoder(config: OriginalConfig, shapes: Mapping[str, Shape]) -> list[str]:
    count = _count(shapes, r"decoder\.transformer_decoder\.(\d+)\.self_attn\.")
    if not count:
        return (
            []
            if config["decoder"] is None
            else [f"'decoder' is {json.dumps(config['decoder'])}, the checkpoint has none"]
        )
    if config["decoder"] is None:
        return ["'decoder' is null, the checkpoint has a transformer decoder"]
    layers = config["decoder_layers_num"]
    return [] if layers == count else [_line("decoder_layers_num", config, count)]


def _count(shapes: Mapping[str, Shape], pattern: str) -> int:
    """The number of different numbers that a pattern finds in the names."""
    match: Callable[[str], re.Match[str] | None] = re.compile(pattern).match
    return len({found.group(1) for name in shapes if (found := match(name)) is not None})
